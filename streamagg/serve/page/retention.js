/** Who comes back: a row for each cohort, a column for each period behind it. */

import { usersText } from "./answers.js";
import { at, el, fill } from "./dom.js";
import { csv, save, savePng } from "./download.js";
import { number, percent } from "./format.js";
import { drawTriangle } from "./pictures.js";

/** The triangle. */
export class Retention {
  constructor() {
    this._rows = [];
    at("retention-csv").addEventListener("click", () => this._csv());
    at("retention-png").addEventListener("click", () => this._png());
  }

  /** Show cohorts: those of answers.js. */
  show(cohorts, unit, clock) {
    this._unit = unit;
    this._rows = cohorts.map((cohort) => ({
      ...cohort,
      name: unit === "month" ? clock.month(cohort.from) : clock.date(cohort.from),
      shares: cohort.back.map((users) => (users === null || !cohort.users ? null : users / cohort.users)),
    }));
    const hasLater = this._rows.some((row) => row.back.length);
    at("retention-beneath").textContent = hasLater
      ? `Of the users who came first in a ${unit}, how many were here again so many ${unit}s later.`
      : `There is no second ${unit} yet.`;
    fill(at("retention-table"), hasLater ? this._table() : null);
  }

  _table() {
    const periods = Math.max(0, ...this._rows.map((row) => row.back.length));
    const numbers = Array.from({ length: periods }, (_, place) => place + 1);
    const head = el(
      "tr",
      {},
      el("th", { scope: "col" }, this._unit === "week" ? "Week of" : capital(this._unit)),
      el("th", { scope: "col", class: "number" }, "New users"),
      ...numbers.map((place) => el("th", { scope: "col" }, `+${place}`)),
    );
    const body = this._rows.map((row) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, row.name),
        el("td", { class: "number" }, usersText(row)),
        ...numbers.map((_, place) => cellOf(row, place)),
      ),
    );
    const caption = el("caption", { class: "unseen" }, `Share of each ${this._unit}'s users that came back`);
    return el("table", {}, caption, el("thead", {}, head), el("tbody", {}, ...body));
  }

  _csv() {
    const columns = [
      { title: this._unit, value: (row) => row.name },
      { title: "ts", value: (row) => row.from },
      { title: "users", value: (row) => row.users },
      ...(this._rows[0]?.back ?? []).map((_, place) => ({ title: `+${place + 1}`, value: (row) => row.back[place] })),
    ];
    save("retention.csv", [csv(columns, this._rows)], "text/csv");
  }

  _png() {
    savePng("retention.png", `Who comes back, by ${this._unit}`, drawTriangle(this._rows));
  }
}

function cellOf(row, place) {
  const share = row.shares[place] ?? null;
  if (share === null) return el("td", {});
  const cell = el("td", { class: "heat", title: `${number(row.back[place])} users` }, percent(share, 0));
  cell.style.background = `color-mix(in srgb, var(--accent) ${Math.round(8 + 47 * share)}%, var(--surface))`;
  return cell;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
