/** Answers to questions about users, in the form in which the page shows them. */

import { ask, groupParameter } from "./api.js";
import { number, percent } from "./format.js";

/** Values of a field that are asked for at a time, and at most; there may be more. */
export const SOME_VALUES = 1_000;
export const MOST_VALUES = 10_000;

/** {users, low, high, isExact}: users are null where only bounds are known. */
function counted({ users, low, high, exact }) {
  return { users, low, high, isExact: exact };
}

/** Unique users of any range; with `also` those of them only who were in that range, too. */
export async function usersOf(range, group, signal, also = null) {
  const and = also && `${also.from}/${also.to}`;
  return counted(await ask("/v1/users", { ...range, and, ...groupParameter(group) }, signal));
}

/**
 * The values of a field: {rows: [{value, records, …}], values: how many there are, isWhole}. `wish`: {order, most, find},
 * the last of which keeps those in which a text stands.
 */
export async function topOf(range, by, group, wish, signal) {
  const asked = { ...range, by, n: wish.most, order: wish.order, find: wish.find || null, ...groupParameter(group) };
  const said = await ask("/v1/top", asked, signal);
  const rows = said.top.map((row) => ({ value: row.value, records: row.records, ...counted(row) }));
  return { rows, values: said.values, isWhole: !said.groups_left_out };
}

/** Cohorts of users by the period in which they came first: [{from, to, users, …, back}]. */
export async function cohortsOf(unit, range, periods, group, zone, signal) {
  const asked = { cohort: unit, ...range, periods, tz: zone, ...groupParameter(group) };
  const { cohorts } = await ask("/v1/retention", asked, signal);
  return cohorts.map(({ from, to, retained: [own, ...back] }) => ({
    from,
    to,
    ...counted(own),
    back: back.map((one) => one.users),
  }));
}

/** 12,345, or ≈ 12,345, or what it is between. */
export function usersText({ users, low, high, isExact }) {
  if (users === null || users === undefined) return high ? `${number(low)} to ${number(high)}` : "–";
  return `${isExact ? "" : "≈ "}${number(users)}`;
}

/** How far off it may be. */
export function errorText({ users, low, high, isExact }) {
  if (isExact) return "exact";
  if (users === null) return "no fewer and no more; sketches (--sketches) would tell";
  return `± ${percent(Math.max(high - users, users - low) / Math.max(users, 1))}: ${number(low)} to ${number(high)}`;
}
