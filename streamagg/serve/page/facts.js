/** Status: what is followed, how far behind it is, and what to do about it. */

import { at, el } from "./dom.js";
import { bytes, duration, number, percent } from "./format.js";

/** What stands in the page, by name: it is changed and not made anew, for a link in it may have the focus. */
const made = new Map();

/** Show it; `now` in seconds. */
export function showFacts(status, clock, now) {
  for (const fact of factsOf(status, clock, now)) {
    if (!made.has(fact.name)) made.set(fact.name, placeOf(fact));
    const place = made.get(fact.name);
    place.value.textContent = fact.value;
    place.note.textContent = fact.note;
  }
  at("version").textContent = `· streamagg ${status.version}`;
}

function placeOf({ name, section }) {
  const value = el("dd", {});
  const note = el("span", {});
  const link = { href: `/runbook.html#${section}`, "aria-label": `What to do: ${name}` };
  const more = section ? [" · ", el("a", link, "what to do")] : [];
  at("facts").append(el("div", {}, el("dt", {}, name), value, el("dd", {}, note, ...more)));
  return { value, note };
}

function factsOf(status, clock, now) {
  const window = status.calendars.window;
  return [
    {
      name: "Lag",
      value: status.behind === null ? "not known" : `${number(status.behind)} records`,
      note: status.following ? "published, and not read here yet" : status.trouble,
      section: "streamagglaggrowing",
    },
    window && {
      name: "Freshness",
      value: duration(now - window.end),
      note: `since the freshest window ended, ${clock.moment(window.end)}`,
      section: "streamaggnowindowpublished",
    },
    uncounted("Late", "late", status.run, clock, "streamagglateratio"),
    uncounted("Rejected", "rejected", status.run, clock, "streamaggrejectratio"),
    {
      name: "Unreadable here",
      value: number(status.unreadable),
      note: "published records of another form, left out",
    },
    window && {
      name: "History",
      value: duration(window.end - window.oldest),
      note: `since ${clock.moment(window.oldest)}, in ${bytes(status.store_bytes)}`,
    },
    { name: "Groups", value: number(status.groups), note: `by ${status.group_by.join(", ") || "nothing"}` },
    {
      name: "Looking at it",
      value: number(status.live_clients),
      note: "listen live",
    },
  ].filter(Boolean);
}

/** Records that are in no window, by the metrics of the run, if it is asked (--run-metrics). */
function uncounted(name, kind, run, clock, section) {
  if (!run) return { name, value: "not told", note: "by the run: its metrics, or --run-metrics", section };
  const share = run.consumed ? percent(run[kind] / run.consumed, 2) : "none";
  const note = `${share} of ${number(run.consumed)} records since ${clock.moment(run.since)}`;
  return { name, value: number(run[kind]), note, section };
}
