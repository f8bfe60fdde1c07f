/** The numbers of a time line: asked for as a plan says, and laid beside those of the range before. */

import { ask, groupParameter } from "./api.js";
import { before } from "./plan.js";

/**
 * What a time line holds of a range: the published records of it and of the range before, where windows are drawn one
 * by one, else samples of both.
 */
export async function heldOf(plan, range, view, signal) {
  return plan.samples === null ? recordsOf(plan, range, view, signal) : seriesOf(plan, range, view, signal);
}

async function recordsOf(plan, range, view, signal) {
  const asked = {
    from: before(range).from,
    to: range.to,
    calendar: plan.calendar,
    limit: 10_000,
    ...groupParameter(view.group),
  };
  return { records: (await ask("/v1/windows", asked, signal)).windows };
}

async function seriesOf(plan, range, view, signal) {
  const asked = (which, how) => ({
    ...which,
    calendar: plan.calendar,
    points: plan.samples,
    measure: view.measure,
    how,
    ...groupParameter(view.group),
  });
  const wanted = [[range, "mean"], [range, "min"], [range, "max"], [before(range), "mean"]];
  const answers = await Promise.all(wanted.map(([which, how]) => ask("/v1/series", asked(which, how), signal)));
  const [now, low, high, past] = answers.map((answer) => answer.series[view.measure]);
  return { series: { x: now.ts, now: now.values, low: low.values, high: high.values, past: past.values } };
}

/**
 * Columns to draw: `x` begins of windows or ends of samples; `now`, `low`, `high` and `past`, null where there is
 * nothing; `records` of windows that are drawn one by one, else null.
 */
export function columnsOf(held, range, measure) {
  if (held.series) return { ...held.series, records: held.series.x.map(() => null) };
  const shift = range.to - range.from;
  const inside = held.records.filter((record) => record.ts >= range.from && record.ts < range.to);
  const past = held.records.filter((record) => record.ts < range.from);
  const moved = new Map(past.map((record) => [record.ts + shift, record[measure] ?? null]));
  const known = new Map(withGaps(inside));
  const x = [...new Set([...known.keys(), ...moved.keys()])].sort((one, other) => one - other);
  const records = x.map((ts) => known.get(ts) ?? null);
  const now = records.map((record) => record?.[measure] ?? null);
  const error = records.map((record) => (measure === "cnt" && record?.approximate ? record.error : 0));
  return {
    x,
    now,
    low: now.map((value, place) => (value === null ? null : value * (1 - error[place]))),
    high: now.map((value, place) => (value === null ? null : value * (1 + error[place]))),
    past: x.map((ts) => moved.get(ts) ?? null),
    records,
  };
}

/** Records by their begin; where windows are missing between two of them there is none. */
function withGaps(records) {
  const found = [];
  let end = null;
  for (const record of records) {
    if (end !== null && record.ts > end) found.push([end, null]);
    found.push([record.ts, record]);
    end = endOf(record);
  }
  return found;
}

/** Where a window or a period ends. */
export function endOf(record) {
  return record.end ?? record.ts + record.granularity;
}

/** With a record that was told, in the place of one that is there; without those that nothing shows any more. */
export function withRecord(records, record, from) {
  const kept = records.filter((one) => one.ts >= from && one.ts !== record.ts);
  const place = kept.findLastIndex((one) => one.ts < record.ts) + 1;
  kept.splice(place, 0, record);
  return kept;
}
