/** The time line: uPlot with what it has not, keys, marks and the range before. */

import uPlot from "./vendor/uplot.js";
import { colour } from "./dom.js";
import { compact } from "./format.js";

const HOUR = 3_600;
const DAY = 86_400;
const MONTH = 28 * DAY;
/** Fewer points are drawn as points, too. */
const FEW = 60;
/** What is less than that is a click. */
const LEAST_DRAG_PX = 6;

/** Marks of a record that say that a number is not what it would be. */
export const MARKS = {
  partial: "partial: reading began inside it",
  late: "came late",
  approximate: "an estimate",
  dropped: "too many groups, which were left out",
};

/** Of the text beside the lines, in pixels: a little less than that of the page. */
function textSize() {
  return Math.round(0.85 * parseFloat(getComputedStyle(document.documentElement).fontSize));
}

function font() {
  return `${textSize()}px system-ui, sans-serif`;
}

/** Draws columns and says what was selected. */
export class Timeline {
  /** `on.read(place)` where the cursor is, null for nowhere; `on.say(place)` the same by key; `on.zoom(from, to)`,
   * `on.nearer(around, factor)`, `on.back()`. */
  constructor(host, on) {
    this._host = host;
    this._on = on;
    this._columns = null;
    this._anchor = null;
    host.addEventListener("keydown", (event) => this._key(event));
    host.addEventListener("dblclick", () => on.back());
    new ResizeObserver(() => this._resize()).observe(host);
  }

  /** The same with the colours of now. */
  redraw() {
    this._plot?.redraw(false);
  }

  /** The canvas, for a picture of it. */
  get canvas() {
    return this._plot.ctx.canvas;
  }

  /** Show these columns from one time to another by a clock; `marksOf(record)` are names of MARKS. */
  draw(columns, range, clock, marksOf) {
    Object.assign(this, { _columns: columns, _range: range, _clock: clock, _marksOf: marksOf });
    this._plot ??= this._made();
    const { x, past, low, high, now } = columns;
    this._plot.setData([x, past, low, high, now], true);
  }

  _made() {
    const { width, height } = this._host.getBoundingClientRect();
    const hidden = { points: { show: false }, width: 0, stroke: "transparent" };
    const few = (plot) => plot.data[0].length <= FEW;
    return new uPlot(
      {
        width,
        height,
        legend: { show: false },
        padding: [10, 1.7 * textSize(), 0, 0],
        cursor: {
          y: false,
          drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG_PX },
          bind: { dblclick: () => null },
          points: { size: 9, show: (plot, series) => (series === 4 ? undefined : false) },
        },
        scales: {
          x: { time: false, range: () => [this._range.from, this._range.to] },
          y: { range: (plot, least, most) => heightOf(least, most) },
        },
        axes: [this._timeAxis(), this._numberAxis()],
        series: [
          {},
          { ...hidden, width: 1, stroke: () => colour("past"), fill: () => colour("past-area"), spanGaps: true },
          hidden,
          hidden,
          { width: 2, stroke: () => colour("accent"), points: { show: few, size: 6, fill: () => colour("surface") } },
        ],
        bands: [{ series: [3, 2], fill: () => colour("band") }],
        hooks: {
          setCursor: [(plot) => this._on.read(plot.cursor.idx ?? null)],
          setSelect: [(plot) => this._selected(plot)],
          draw: [(plot) => this._drawMarks(plot)],
        },
      },
      [[], [], [], [], []],
      this._host,
    );
  }

  _timeAxis() {
    return {
      stroke: () => colour("quiet"),
      font: font(),
      size: 3.4 * textSize(),
      gap: 6,
      space: 6.5 * textSize(),
      grid: { show: false },
      ticks: { stroke: () => colour("line"), size: 6 },
      splits: (plot, axis, least, most, step) => this._splits(least, most, step),
      incrs: [
        ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR],
        ...[1, 2, 4, 7, 14, 28, 56, 91, 182, 365].map((days) => days * DAY),
      ],
      values: (plot, splits, axis, space, step) => this._labels(splits, step),
    };
  }

  /** From a midnight of the clock, so that labels are full hours and days there. */
  _splits(least, most, step) {
    const found = [];
    const begin = step >= 60 ? this._clock.midnight(least) : Math.floor(least / step) * step;
    const first = begin + Math.ceil((least - begin) / step) * step;
    for (let ts = first; ts <= most; ts += step) found.push(step >= DAY ? this._clock.midnight(ts + HOUR) : ts);
    return found;
  }

  _labels(splits, step) {
    const clock = this._clock;
    if (step >= MONTH) return splits.map((ts) => clock.month(ts));
    if (step >= DAY) return splits.map((ts) => clock.day(ts));
    return splits.map((ts, place) => {
      const isNewDay = place === 0 || clock.day(ts) !== clock.day(splits[place - 1]);
      return isNewDay ? `${clock.time(ts)}\n${clock.day(ts)}` : clock.time(ts);
    });
  }

  _numberAxis() {
    return {
      stroke: () => colour("quiet"),
      font: font(),
      size: 3.8 * textSize(),
      space: 3.2 * textSize(),
      gap: 6,
      ticks: { show: false },
      grid: { stroke: () => colour("line"), width: 1 },
      values: (plot, splits) => splits.map(compact),
    };
  }

  _drawMarks(plot) {
    this._columns.records.forEach((record, place) => {
      if (record === null) return;
      for (const mark of this._marksOf(record)) drawMark(plot, mark, place, this._columns);
    });
  }

  _resize() {
    const { width, height } = this._host.getBoundingClientRect();
    if (width && height) this._plot?.setSize({ width, height });
  }

  _selected(plot) {
    const { left, width } = plot.select;
    if (width < LEAST_DRAG_PX || this._anchor !== null) return;
    this._zoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }

  _zoom(from, to) {
    this._anchor = null;
    this._plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this._on.zoom(from, to);
  }

  // Keys

  _key(event) {
    const keys = {
      ArrowLeft: () => this._move(-1, event.shiftKey),
      ArrowRight: () => this._move(1, event.shiftKey),
      PageUp: () => this._move(-10, event.shiftKey),
      PageDown: () => this._move(10, event.shiftKey),
      Home: () => this._move(-Infinity, event.shiftKey),
      End: () => this._move(Infinity, event.shiftKey),
      Enter: () => this._enter(),
      Escape: () => this._escape(),
      "+": () => this._nearer(0.5),
      "-": () => this._nearer(2),
    };
    const act = keys[event.key];
    if (!act || !this._columns?.x.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  get _place() {
    return this._plot.cursor.idx ?? this._columns.x.length - 1;
  }

  /** To the next point that has a number. */
  _move(steps, selects) {
    const { x, now } = this._columns;
    const way = Math.sign(steps);
    const start = this._place;
    let place = Math.max(0, Math.min(x.length - 1, start + steps));
    while (now[place] === null && x[place + way] !== undefined) place += way;
    this._anchor = selects ? (this._anchor ?? start) : null;
    const left = this._plot.valToPos(x[place], "x");
    this._plot.setCursor({ left, top: 1 });
    const from = selects ? this._plot.valToPos(x[this._anchor], "x") : left;
    const height = selects ? this._plot.over.clientHeight : 0;
    this._plot.setSelect({ left: Math.min(from, left), width: Math.abs(left - from), top: 0, height }, false);
    this._on.say(place);
  }

  _enter() {
    if (this._anchor === null) return this._nearer(0.5);
    const ends = [this._columns.x[this._anchor], this._columns.x[this._place]].sort((one, other) => one - other);
    return this._zoom(ends[0], ends[1] + 1);
  }

  _escape() {
    if (this._anchor === null) return this._on.back();
    return this._move(0, false);
  }

  _nearer(factor) {
    this._on.nearer(this._columns.x[this._place], factor);
  }
}

/** From zero, with room above; numbers below zero have theirs. */
function heightOf(least, most) {
  if (least === null || most === null) return [0, 1];
  const room = (Math.max(most, 0) - Math.min(least, 0)) * 0.08 || 1;
  return [least < 0 ? least - room : 0, most > 0 ? most + room : 0];
}

/** One mark, above its point; those of equal shape in other places mean the same. */
function drawMark(plot, mark, place, columns) {
  const brush = plot.ctx;
  const size = 5.5 * devicePixelRatio;
  const x = plot.valToPos(columns.x[place], "x", true);
  const y = plot.valToPos(columns.now[place] ?? 0, "y", true);
  brush.save();
  brush.lineWidth = 2 * devicePixelRatio;
  brush.strokeStyle = colour("warn");
  brush.fillStyle = colour(mark === "late" ? "warn" : "surface");
  brush.beginPath();
  const path = pathOf(mark).map(([dx, dy]) => [x + dx * size, y + dy * size]);
  path.forEach(([px, py], corner) => (corner ? brush.lineTo(px, py) : brush.moveTo(px, py)));
  brush.closePath();
  brush.fill();
  brush.stroke();
  brush.restore();
}

/** Corners of a mark, in sizes. */
export function pathOf(mark) {
  const shapes = {
    partial: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
    late: [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
    approximate: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
    dropped: [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]],
  };
  return shapes[mark];
}
