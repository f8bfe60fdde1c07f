/** Groups of a range: a table that sorts, with a bar beside each. */

import { MOST_VALUES, SOME_VALUES, errorText, usersText } from "./answers.js";
import { at, el, fill, offer } from "./dom.js";
import { csv, save, savePng } from "./download.js";
import { number } from "./format.js";
import { drawBars } from "./pictures.js";

/** Rows that are put into the page at a time. */
const ROWS = 100;
const MORE = 500;
const PICTURED = 30;
/** Until what is typed is asked for. */
const TYPED_MS = 250;
const SVG = "http://www.w3.org/2000/svg";

/** A group as people read it. */
export function nameOf(group) {
  return Object.values(group).map(valueName).join(" · ");
}

function valueName(value) {
  return value === null ? "(none)" : value || "(empty)";
}

/**
 * The table. `choose(group)` is called with the group that is to be looked at, as soon as each field has a value; until
 * then a value narrows what is listed, and `ask()` is called for that.
 */
export class Groups {
  constructor(choose, ask) {
    this._choose = choose;
    this._ask = ask;
    this._rows = [];
    this._values = 0;
    this._fields = [];
    this._sorted = { by: "users", descending: true };
    this._shown = ROWS;
    /** Fields that have a value. */
    this.wanted = null;
    /** What the server chooses by where there are more than it tells: topOf in answers.js. */
    this.wish = { order: "users", most: SOME_VALUES, find: "" };
    this._typing = null;
    at("find").addEventListener("input", () => this._find());
    at("by").addEventListener("change", () => this._ask());
    at("widen").addEventListener("click", () => this._narrow(null));
    at("more-groups").addEventListener("click", () => this._more());
    at("groups-csv").addEventListener("click", () => this._csv());
    at("groups-png").addEventListener("click", () => this._png());
  }

  /** The field that is listed: one that has no value yet. */
  fieldOf(fields) {
    this._fields = fields;
    const open = fields.filter((field) => !(this.wanted && field in this.wanted));
    const chosen = open.includes(at("by").value) ? at("by").value : open[0];
    offer("by", open.map((field) => [field, field]), chosen);
    at("by-label").hidden = open.length < 2;
    at("widen").hidden = !this.wanted;
    at("widen").textContent = this.wanted ? `${nameOf(this.wanted)}: show all` : "";
    return chosen;
  }

  /** Show what answers.js has of a field, and of which range. */
  show({ rows, values, isWhole }, field, title) {
    this._rows = rows.map((row) => ({ ...row, name: valueName(row.value), most: row.users ?? row.high }));
    Object.assign(this, { _values: values, _isWhole: isWhole, _field: field, _title: title });
    this._draw();
  }

  get _found() {
    // What the server has found is found.
    const wanted = this.wish.find ? "" : typed().toLowerCase();
    const rows = this._rows.filter((row) => row.name.toLowerCase().includes(wanted));
    const { by, descending } = this._sorted;
    const key = by === "users" ? "most" : by;
    const byName = (one, other) => one.name.localeCompare(other.name);
    const order = by === "name" ? byName : (one, other) => one[key] - other[key];
    return rows.sort((one, other) => (descending ? -1 : 1) * order(one, other) || byName(one, other));
  }

  /** Here, if all values are here; else the server looks among all. */
  _find() {
    this._shown = ROWS;
    clearTimeout(this._typing);
    if (!this.wish.find && this._isAll) return this._draw();
    this._typing = setTimeout(() => this._wish({ find: typed(), most: SOME_VALUES }), TYPED_MS);
  }

  _wish(change) {
    Object.assign(this.wish, change);
    this._ask();
  }

  /** Too long a list to be asked for again with every window. */
  get isLong() {
    return this.wish.most > SOME_VALUES;
  }

  get _isAll() {
    return this._rows.length >= this._values;
  }

  _more() {
    const first = this._shown;
    this._shown += MORE;
    this._draw();
    at("groups-table").querySelectorAll("tbody button")[first]?.focus();
    if (this._shown > this._rows.length && this._canAsk) this._wish({ most: this.wish.most + SOME_VALUES });
  }

  /** For more values than are here. */
  get _canAsk() {
    return !this._isAll && this.wish.most < MOST_VALUES;
  }

  _sort(by) {
    const descending = this._sorted.by === by ? !this._sorted.descending : by !== "name";
    this._sorted = { by, descending };
    this._draw();
    at("groups-table").querySelector(`[data-by="${by}"]`).focus();
    if (by === "name" || by === this.wish.order) return;
    this.wish.order = by;
    if (!this._isAll) this._ask();
  }

  _narrow(wanted) {
    this.wanted = wanted;
    at("find").value = "";
    this._shown = ROWS;
    this._wish({ find: "", most: SOME_VALUES });
  }

  _pick(value) {
    const group = { ...this.wanted, [this._field]: value };
    if (Object.keys(group).length < this._fields.length) return this._narrow(group);
    return this._choose(Object.fromEntries(this._fields.map((field) => [field, group[field]])));
  }

  _draw() {
    const rows = this._found;
    const shown = rows.slice(0, this._shown);
    const focused = document.activeElement?.dataset.key;
    fill(at("groups-table"), this._table(shown));
    if (focused) [...at("groups-table").querySelectorAll("button")].find((one) => one.dataset.key === focused)?.focus();
    const left = rows.length - shown.length;
    at("more-groups").hidden = !left && !this._canAsk;
    at("more-groups").textContent = left ? `Show ${number(Math.min(MORE, left))} more` : "Show more";
    at("groups-beneath").textContent = `${this._says(rows.length)} · ${this._title}`;
  }

  _says(found) {
    const all = `${number(this._values)} ${this._values === 1 ? "group" : "groups"}${this.wish.find ? " found" : ""}`;
    const some = this._isAll ? all : `the first ${number(this._rows.length)} of ${all}`;
    const left = this._isWhole ? "" : " and more that were left out (--top, --max-groups)";
    return `${found < this._rows.length ? `${number(found)} found in ` : ""}${some}${left}`;
  }

  _table(rows) {
    const most = Math.max(1, ...this._rows.map((row) => this._lengthOf(row)));
    const head = el(
      "tr",
      {},
      el("th", { scope: "col", class: "rank number" }, "#"),
      this._head("name", this._field, "name"),
      this._head("users", "Unique users", "number"),
      this._head("records", "Records", "number records"),
      el("th", { scope: "col", class: "share" }, el("span", { class: "unseen" }, "Beside the largest")),
    );
    const body = rows.map((row, place) => this._row(row, place, most));
    const caption = el("caption", { class: "unseen" }, "Groups; choose one to see it alone");
    return el("table", {}, caption, el("thead", {}, head), el("tbody", {}, ...body));
  }

  _head(by, title, kind) {
    const sorted = this._sorted.by === by ? (this._sorted.descending ? "descending" : "ascending") : null;
    const button = el("button", { type: "button", "data-by": by, "data-key": `by ${by}`, click: () => this._sort(by) }, title);
    return el("th", { scope: "col", class: kind, "aria-sort": sorted }, button);
  }

  _row(row, place, most) {
    const key = `value ${JSON.stringify(row.value)}`;
    const pick = el("button", { type: "button", "data-key": key, click: () => this._pick(row.value) }, row.name);
    return el(
      "tr",
      {},
      el("td", { class: "rank number" }, number(place + 1)),
      el("td", { class: "name" }, pick),
      el("td", { class: "number", title: errorText(row) }, usersText(row)),
      el("td", { class: "number records" }, number(row.records)),
      el("td", { class: "share" }, barOf(this._lengthOf(row) / most)),
    );
  }

  /** Of a bar: what is sorted by. */
  _lengthOf(row) {
    return this._sorted.by === "records" ? row.records : row.most;
  }

  _csv() {
    const columns = [
      { title: this._field, value: (row) => row.value },
      { title: "users", value: (row) => row.users },
      { title: "low", value: (row) => row.low },
      { title: "high", value: (row) => row.high },
      { title: "records", value: (row) => row.records },
    ];
    save("groups.csv", [csv(columns, this._found)], "text/csv");
  }

  _png() {
    const rows = this._found.slice(0, PICTURED).map((row) => ({ name: row.name, value: this._lengthOf(row) }));
    savePng("groups.png", `Groups · ${this._title}`, drawBars(rows));
  }
}

function typed() {
  return at("find").value.trim();
}

/** A bar that is a share of its place. */
function barOf(share) {
  const drawn = document.createElementNS(SVG, "svg");
  const bar = document.createElementNS(SVG, "rect");
  drawn.setAttribute("aria-hidden", "true");
  bar.setAttribute("width", `${Math.max(0.3, share * 100)}%`);
  bar.setAttribute("height", "100%");
  bar.setAttribute("rx", "3");
  drawn.append(bar);
  return drawn;
}
