/** The numbers of now, whether they are right, and whether they are on time. */

import { at, el, fill } from "./dom.js";
import { change, duration, number, percent } from "./format.js";
import { endOf } from "./samples.js";

/** A window may be so much older than its length before it counts as late, where nothing else is known. */
const PATIENCE_S = 60;
/** New windows come so often, at least, while a backlog is read. */
const COMING_S = 15;
/** What ended so long ago is looked at because it is old. */
const HISTORY_S = 365 * 86_400;
const NOTHING = "–";

/** Put a number into a large place; both places have one size, in which the longer number fits. */
function large(id, text) {
  const place = at(id);
  const isNew = place.textContent !== text && !place.hasAttribute("data-empty");
  place.toggleAttribute("data-empty", text === NOTHING);
  place.classList.remove("fresh");
  if (isNew) requestAnimationFrame(() => place.classList.add("fresh"));
  place.textContent = text;
  const widths = [...document.querySelectorAll(".large")].map((one) => widthOf(one.textContent));
  at("now").style.setProperty("--digits", Math.max(5, ...widths));
}

/** In digits: others are half as wide. */
function widthOf(text) {
  return [...text].reduce((sum, sign) => sum + (/[0-9≈]/.test(sign) ? 1 : 0.5), 0);
}

/** The freshest window, and how it compares with the one before. */
export function showWindow(record, previous, clock) {
  const counted = record.cnt !== undefined ? "cnt" : "records";
  at("window-title").textContent = counted === "cnt" ? "Unique users, freshest window" : "Records, freshest window";
  large("window-users", `${record.approximate ? "≈ " : ""}${number(record[counted])}`);
  const moved = previous ? change(previous[counted], record[counted]) : "";
  const says = [moved && `${moved} on the window before`, `${number(record.records)} records`].filter(Boolean).join(" · ");
  beneath("window-beneath", clock.span(record.ts, endOf(record)), says);
}

/** The running day: {title, text, from, through, note}; no text where nobody knows. */
export function showDay(day, clock) {
  at("day-title").textContent = day.title;
  large("day-users", day.text ?? NOTHING);
  beneath("day-beneath", day.text && clock.span(day.from, day.through), day.note);
}

function beneath(id, span, says) {
  fill(at(id), span && el("b", {}, span), span && el("br"), says);
}

function verdict(id, kind, says, why) {
  const place = at(id);
  place.dataset.verdict = kind;
  place.querySelector(".says").textContent = says;
  // A link that is there stays, for it may have the focus.
  const key = [why].flat().map((part) => part.href ?? part).join();
  if (place.dataset.why !== key) fill(place.querySelector(".why"), ...[why].flat());
  place.dataset.why = key;
}

/** A link to what to do. */
function runbook(section, text) {
  return el("a", { href: `/runbook.html#${section}` }, text);
}

/** Whether the freshest number is what it says. */
export function showRight(record, status) {
  const exact = "every record that came in time is counted once";
  if (status.unreadable) {
    const why = "records of what was published are of another form, and left out here";
    return verdict("right", "bad", `${number(status.unreadable)} unreadable`, why);
  }
  if (record.partial) return verdict("right", "warn", "Partial", "reading began inside this window: it holds less than it should");
  if (record.approximate) {
    const why = ["there are more users than --max-users · ", runbook("streamaggapproximatecounts", "what to do")];
    return verdict("right", "warn", `Estimate, ± ${percent(record.error)}`, why);
  }
  if (record.groups_dropped) {
    const why = ["users are right; groups are left out, there are too many · ", runbook("streamagggroupsleftout", "what to do")];
    return verdict("right", "warn", "Without groups", why);
  }
  return verdict("right", "good", "Complete and exact", exact);
}

/** Nothing of what was chosen is in the last windows. */
export function showNone() {
  large("window-users", NOTHING);
  beneath("window-beneath", null, "not in the last windows");
  verdict("right", "unknown", NOTHING, "");
}

/** Whether windows come when they should; `heard_s` is how long ago the last one came, null if none came here. */
export function showOnTime(status, isAway, heard_s, now) {
  if (isAway) return verdict("on-time", "bad", "Server away", "what is shown is what it said last; trying again");
  if (!status.following) return verdict("on-time", "bad", "Not following", status.trouble);
  const { end, length } = status.calendars.window;
  const age = now - end;
  const behind = status.behind ? `${number(status.behind)} published records wait to be read · ` : "";
  if (age <= length + PATIENCE_S) {
    const says = age < 1 ? "Just now" : `${duration(age)} old`;
    return verdict("on-time", "good", says, `${behind}since the freshest window ended`);
  }
  if (heard_s !== null && heard_s <= Math.max(COMING_S, 2 * length)) {
    const why = `${behind}the last window came ${duration(heard_s)} ago, and ended ${duration(age)} ago`;
    return verdict("on-time", "warn", "Reading the past", why);
  }
  if (age > HISTORY_S) return verdict("on-time", "warn", "All of it is past", `${behind}it ended ${duration(age)} ago`);
  const why = [`${behind}no newer window has come · `, runbook("streamaggnowindowpublished", "what to do")];
  return verdict("on-time", "bad", `${duration(age)} old`, why);
}
