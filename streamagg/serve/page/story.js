/** The section of the time line: controls, numbers at the cursor, legend, table and files of it. */

import { at, colour, el, fill, offer, table } from "./dom.js";
import { csv, save, savePng } from "./download.js";
import { duration, number, percent } from "./format.js";
import { SPANS, calendarsOf, snapped, zoomed } from "./plan.js";
import { columnsOf, endOf } from "./samples.js";
import { MARKS, Timeline, pathOf } from "./timeline.js";

const NAMES = { cnt: "unique users", records: "records" };
const SVG = "http://www.w3.org/2000/svg";

/** What draws it; `go(change)` looks at something else, `back()` at what was looked at before. */
export class Story {
  constructor(go, back) {
    this._go = go;
    this.late = new Set();
    this._timeline = new Timeline(at("chart"), {
      read: (place) => this._read(place),
      say: (place) => { at("chart-says").textContent = this._textOf(place); },
      zoom: (from, to) => this._zoom({ from, to }),
      nearer: (around, factor) => this._zoom(zoomed(this._range, around, factor)),
      back,
    });
    this._controls();
  }

  _controls() {
    const spans = Object.keys(SPANS).map((span) =>
      el("button", { type: "button", "data-span": span, click: () => this._go({ span, from: null, to: null }) }, span),
    );
    fill(at("spans"), ...spans);
    at("range").addEventListener("submit", (event) => this._typed(event));
    at("measure").addEventListener("change", () => this._go({ measure: at("measure").value }));
    at("calendar").addEventListener("change", () => this._go({ calendar: at("calendar").value || null }));
    at("back").addEventListener("click", () => this._zoom(zoomed(this._range, middle(this._range), 2)));
    at("history-csv").addEventListener("click", () => this._csv());
    at("history-png").addEventListener("click", () => savePng("history.png", this._title, this._timeline.canvas));
    at("history-table").addEventListener("toggle", () => this._fillTable());
  }

  _typed(event) {
    event.preventDefault();
    const [from, to] = ["from", "to"].map((id) => this._clock.read(at(id).value));
    const isRange = from !== null && to !== null && from < to;
    at("to").setCustomValidity(isRange ? "" : "The end must be behind the begin.");
    if (!at("range").reportValidity()) return;
    document.activeElement.blur();
    this._go({ from, to, span: null });
  }

  /** Whole windows of it, but those that the page does not know yet. */
  _zoom(range) {
    const windows = this._status.calendars.window;
    const { from, to } = snapped(range.from, range.to, windows.length);
    const least = Math.max(0, from);
    this._go({ from: least, to: Math.max(least + windows.length, Math.min(to, windows.end)), span: null });
  }

  /** What the controls say: a view, the plan for it, and the range that it means. */
  showControls({ status, view, plan, range, clock }) {
    Object.assign(this, { _status: status, _view: view, _plan: plan, _range: range, _clock: clock });
    for (const button of at("spans").children) {
      button.setAttribute("aria-pressed", String(view.from === null && button.dataset.span === view.span));
    }
    if (!at("range").contains(document.activeElement)) {
      at("from").value = clock.field(range.from);
      at("to").value = clock.field(range.to);
    }
    const numbers = ["cnt", "records", ...status.calendars.window.measures];
    offer("measure", numbers.map((name) => [name, NAMES[name] ?? name]), view.measure);
    const calendars = calendarsOf(status).map((one) => [one.name, one.name === "window" ? duration(one.length) : one.name]);
    offer("calendar", [["", "what fits"], ...calendars], view.calendar ?? "");
  }

  /** Draw what is held of the range. */
  draw(held, range) {
    Object.assign(this, { _held: held, _range: range });
    this._columns = columnsOf(held, range, this._view.measure);
    this._timeline.draw(this._columns, range, this._clock, (record) => this.marksOf(record));
    this._read(null);
    this._legend();
    this._fillTable();
  }

  /** With the colours of now. */
  redraw() {
    if (!this._columns) return;
    this._timeline.redraw();
    this._legend();
  }

  /** Names of the marks that a record has. */
  marksOf(record) {
    return [
      record.partial && "partial",
      record.approximate && "approximate",
      record.groups_dropped && "dropped",
      this._plan.calendar === "window" && this.late.has(record.ts) && "late",
    ].filter(Boolean);
  }

  get _title() {
    return `${this._name} · ${this._clock.span(this._range.from, this._range.to)}`;
  }

  get _name() {
    const name = NAMES[this._view.measure] ?? this._view.measure;
    return name[0].toUpperCase() + name.slice(1);
  }

  // At the cursor

  _read(place) {
    const parts = this._partsOf(place ?? this._last());
    fill(at("readout"), ...parts.flatMap((part, number) => (number ? [" · ", part] : [part])));
  }

  _last() {
    return this._columns.now.findLastIndex((value) => value !== null);
  }

  _partsOf(place) {
    const { x, now, past, low, high, records } = this._columns;
    if (place < 0 || x[place] === undefined) return ["There is nothing in this range."];
    const record = records[place];
    const length = (this._range.to - this._range.from) / (this._plan.samples ?? 1);
    const span = this._plan.samples ? [x[place] - length, x[place]] : [x[place], record ? endOf(record) : x[place] + this._plan.length];
    const name = NAMES[this._view.measure] ?? this._view.measure;
    const mean = this._plan.samples && now[place] !== null ? ` on average, ${number(low[place])} to ${number(high[place])}` : "";
    return [
      this._clock.span(...span),
      el("b", {}, now[place] === null ? "no records" : `${number(now[place])} ${name}${mean}`),
      past[place] === null ? null : `${number(past[place])} before`,
      ...(record === null ? [] : this.marksOf(record)).map((mark) => el("span", { class: "mark" }, markText(mark, record))),
    ].filter((part) => part !== null);
  }

  _textOf(place) {
    return this._partsOf(place).map((part) => part.textContent ?? part).join(", ");
  }

  // Beside it

  _legend() {
    const { past, records } = this._columns;
    const marks = new Set(records.flatMap((record) => (record === null ? [] : this.marksOf(record))));
    const length = duration(this._range.to - this._range.from);
    const each = this._plan.samples ? `, mean of ${duration((this._range.to - this._range.from) / this._plan.samples)}` : "";
    const isBand = this._plan.samples || marks.has("approximate");
    fill(
      at("legend"),
      entry(lineOf(), `${this._name}${each}`),
      past.some((value) => value !== null) ? entry(areaOf("past-area", "past"), `the ${length} before`) : null,
      isBand ? entry(areaOf("band", "band"), this._plan.samples ? "least to most" : "error") : null,
      ...[...marks].map((mark) => entry(signOf(mark), MARKS[mark])),
    );
  }

  _fillTable() {
    if (!at("history-table").open || !this._columns) return;
    const rows = this._rows();
    const columns = this._tableColumns().map((column) => ({ ...column, cell: (row) => shownCell(column.value(row)) }));
    fill(at("history-table").querySelector(".scroll"), table(this._title, columns, rows));
  }

  _rows() {
    const { x } = this._columns;
    return x.map((_, place) => place).filter((place) => this._columns.now[place] !== null);
  }

  _tableColumns() {
    const { x, now, low, high, past, records } = this._columns;
    const band = this._plan.samples
      ? [{ title: "Least", number: true, value: (place) => low[place] }, { title: "Most", number: true, value: (place) => high[place] }]
      : [{ title: "Records", number: true, value: (place) => records[place]?.records }];
    return [
      { title: this._plan.samples ? "Until" : "From", value: (place) => this._clock.moment(x[place]) },
      { title: this._name, number: true, value: (place) => now[place] },
      ...(this._view.measure === "records" && !this._plan.samples ? [] : band),
      { title: "Before", number: true, value: (place) => past[place] },
      { title: "Marks", value: (place) => this.marksOf(records[place] ?? {}).join(" ") },
    ];
  }

  _csv() {
    const { x, records } = this._columns;
    const found = records.filter((record) => record !== null);
    if (!found.length) {
      const columns = [{ title: "ts", value: (place) => x[place] }, ...this._tableColumns().slice(1)];
      return save("history.csv", [csv(columns, this._rows())], "text/csv");
    }
    const fields = [...new Set(found.flatMap(Object.keys))].filter((field) => !["v", "group"].includes(field));
    const columns = fields.map((field) => ({ title: field, value: (record) => record[field] }));
    return save("history.csv", [csv(columns, found)], "text/csv");
  }
}

function middle(range) {
  return (range.from + range.to) / 2;
}

function shownCell(value) {
  return typeof value === "string" ? value : number(value);
}

function markText(mark, record) {
  return mark === "approximate" ? `an estimate, ± ${percent(record.error)}` : MARKS[mark];
}

function entry(sign, text) {
  return el("li", {}, sign, text);
}

function drawing(name, attributes) {
  const picture = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries({ width: 26, height: 14, "aria-hidden": "true" })) picture.setAttribute(key, value);
  for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
  picture.append(shape);
  return picture;
}

function lineOf() {
  return drawing("line", { x1: 0, x2: 26, y1: 7, y2: 7, stroke: colour("accent"), "stroke-width": 3 });
}

function areaOf(name, edge) {
  return drawing("rect", { x: 0.5, y: 0.5, width: 25, height: 13, rx: 3, fill: colour(name), stroke: colour(edge) });
}

function signOf(mark) {
  const points = pathOf(mark).map(([x, y]) => `${13 + 5 * x},${7 + 5 * y}`).join(" ");
  const fillOf = mark === "late" ? colour("warn") : "none";
  return drawing("polygon", { points, fill: fillOf, stroke: colour("warn"), "stroke-width": 1.8 });
}
