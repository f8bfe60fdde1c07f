/** Which range is looked at, and what has to be asked to draw it. Knows neither the page nor the network. */

const HOUR = 3_600;
const DAY = 86_400;

/** Ranges that end with the freshest window, by the text that stands in the address. */
export const SPANS = {
  "1h": HOUR,
  "6h": 6 * HOUR,
  "24h": DAY,
  "7d": 7 * DAY,
  "30d": 30 * DAY,
  "90d": 90 * DAY,
  "1y": 365 * DAY,
};
/** More windows are not drawn one by one. */
export const MOST_DRAWN = 1_500;
/** Samples of a range that has more. */
export const SAMPLES = 600;

/** Calendars by length, the windows among them: {name, length, oldest, end}. */
export function calendarsOf(status) {
  return Object.entries(status.calendars)
    .map(([name, one]) => ({ name, ...one }))
    .sort((one, other) => one.length - other.length);
}

/** The span to begin with: the shortest one that shows all there is, of those up to a day or a hundred windows. */
export function firstSpan(status) {
  const window = status.calendars.window;
  const held = window ? window.end - window.oldest : 0;
  const enough = Math.min(held, Math.max(DAY, 100 * (window?.length ?? 0)));
  return Object.keys(SPANS).find((name) => SPANS[name] >= enough) ?? "1y";
}

/** Begin and end of a view: {span} ends with the freshest window, {from, to} stands still. */
export function rangeOf(view, status) {
  if (view.from !== null) return { from: view.from, to: view.to };
  const to = status.calendars.window.end;
  return { from: to - SPANS[view.span], to };
}

/** How a range is drawn: the finest calendar that is not too much for the picture, else samples of it. */
export function planOf(range, status, wanted) {
  const calendars = calendarsOf(status);
  const length = range.to - range.from;
  const drawn = (one) => length / one.length <= MOST_DRAWN;
  const found = calendars.find((one) => one.name === wanted) ?? calendars.find(drawn) ?? calendars.at(-1);
  return { calendar: found.name, length: found.length, samples: drawn(found) ? null : SAMPLES };
}

/** A selection moved outwards to whole windows, at least one. */
export function snapped(from, to, length) {
  const begin = Math.floor(from / length) * length;
  return { from: begin, to: Math.max(begin + length, Math.ceil(to / length) * length) };
}

/** Nearer (factor below 1) or farther, around a time. */
export function zoomed(range, around, factor) {
  const from = around - (around - range.from) * factor;
  return { from, to: from + (range.to - range.from) * factor };
}

/** The range before, as long. */
export function before(range) {
  return { from: Math.max(0, range.from - (range.to - range.from)), to: range.from };
}

/** What is looked at, out of the part of an address behind #. */
export function readView(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const time = (name) => (given.has(name) && Number.isFinite(+given.get(name)) ? +given.get(name) : null);
  const group = [...given].filter(([name]) => name.startsWith("group."));
  const from = time("from");
  const to = time("to");
  const isRange = from !== null && to !== null && from < to;
  return {
    span: given.get("last") in SPANS ? given.get("last") : null,
    from: isRange ? from : null,
    to: isRange ? to : null,
    calendar: given.get("calendar"),
    measure: given.get("measure") ?? "cnt",
    group: readGroup(given.get("group")) ?? (group.length ? Object.fromEntries(group.map(unprefixed)) : null),
  };
}

function unprefixed([name, value]) {
  return [name.slice("group.".length), value];
}

function readGroup(text) {
  try {
    const found = JSON.parse(text ?? "null");
    return typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}

/** The same as a part of an address. */
export function writeView(view) {
  const said = new URLSearchParams();
  if (view.from !== null) {
    said.set("from", view.from);
    said.set("to", view.to);
  } else said.set("last", view.span);
  if (view.calendar) said.set("calendar", view.calendar);
  if (view.measure !== "cnt") said.set("measure", view.measure);
  if (view.group) said.set("group", JSON.stringify(view.group));
  return `#${said}`;
}
