/** The page: what is looked at, what has to be asked for it, and what is told meanwhile. */

import { cohortsOf, errorText, topOf, usersOf, usersText } from "./answers.js";
import { ask, groupParameter, hasToken, setToken } from "./api.js";
import { at, offer } from "./dom.js";
import { showFacts } from "./facts.js";
import { Clock, change, duration, number, percent } from "./format.js";
import { Groups, nameOf } from "./groups.js";
import { Arrivals } from "./arrivals.js";
import { Listener } from "./live.js";
import { showDay, showNone, showOnTime, showRight, showWindow } from "./now.js";
import { before, firstSpan, planOf, rangeOf, readView, writeView } from "./plan.js";
import { Retention } from "./retention.js";
import { endOf, heldOf, withRecord } from "./samples.js";
import { Story } from "./story.js";

/** What costs the server something is asked so often, at most, while windows come. */
const REFRESH_MS = 5_000;
const TICK_MS = 1_000;
const STATUS_TICKS = 15;
/** Periods that are looked at, the first one among them. */
const COHORTS = 8;
/** Seconds; of a month the longest. */
const LENGTHS = { day: 86_400, week: 7 * 86_400, month: 31 * 86_400 };
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** What the server said last, what is looked at, and what is shown of it. */
const page = { status: null, view: null, clock: null, plan: null, range: null, held: null, latest: [], isAway: false };
const arrivals = new Arrivals();
const story = new Story((wish) => go(wish), () => back());
const groups = new Groups((group) => go({ group }), () => tell(loadGroups(asking.signal)));
const retention = new Retention();
let listener = null;
let asking = new AbortController();
let choosing = new AbortController();
let refresh = null;

// Looking

/** Look at something else; the browser's way back leads to what was looked at before. */
function go(wish) {
  page.view = { ...page.view, ...wish };
  history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, "", writeView(page.view));
  look();
}

/** To what was looked at before, and not to another page. */
function back() {
  if (history.state?.depth) history.back();
}

/** Ask for all that the view shows. */
function look() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  notice("");
  page.range = rangeOf(page.view, page.status);
  page.plan = planOf(page.range, page.status, page.view.calendar);
  page.held = null;
  story.showControls(page);
  showChosen();
  listenTo(page.view.group);
  tell(loadNow(signal));
  tell(loadHistory(signal));
  tell(loadUsers(signal));
  tell(loadGroups(signal));
  loadRetention(signal);
}

/** An error is shown on the page, unless nobody waits for the answer. */
async function tell(work) {
  try {
    await work;
  } catch (error) {
    if (error.status === 401) wantToken();
    else if (error.name !== "AbortError") notice(error.message);
  }
}

function notice(text) {
  at("notice").hidden = !text;
  at("notice").textContent = text;
}

async function loadNow(signal) {
  const { length, end } = page.status.calendars.window;
  const asked = { from: end - 100 * length, order: "desc", limit: 2, ...groupParameter(page.view.group) };
  page.latest = (await ask("/v1/windows", asked, signal)).windows;
  showNow();
  await loadDay(signal);
}

async function loadDay(signal) {
  showDay(await dayOf(signal), page.clock);
}

/** The running day: as it is told, else as any other range, else the last one that is over. */
async function dayOf(signal) {
  const running = page.view.group ? null : page.status.running.find((record) => record.calendar === "day");
  if (running) return ofRunning(running);
  const to = page.status.calendars.window.end;
  const over = page.status.calendars.day?.end;
  const from = over && over < to ? over : page.clock.midnight(to - 1);
  const title = "Unique users, this day so far";
  try {
    const found = await usersOf({ from, to }, page.view.group, signal);
    return { title, text: usersText(found), from, through: to, note: errorText(found) };
  } catch (refusal) {
    if (refusal.name === "AbortError") throw refusal;
    return { title, text: null, note: refusal.message };
  }
}

function ofRunning(record) {
  const { ts: from, through } = record;
  const text = usersText({ users: record.cnt ?? null, isExact: !record.approximate });
  const error = record.approximate ? `± ${percent(record.error)}` : "exact";
  return { title: "Unique users, this day so far", text, from, through, note: `${error} · ${number(record.records)} records` };
}

function showNow() {
  const [record, previous] = page.latest;
  showTimes();
  if (!record) return showNone();
  showWindow(record, previous && endOf(previous) === record.ts ? previous : null, page.clock);
  showRight(record, page.status);
}

function showTimes() {
  const now = Date.now() / 1_000;
  showOnTime(page.status, page.isAway, arrivals.heard(now), now);
  showFacts(page.status, page.clock, now);
}

async function loadHistory(signal) {
  page.held = await heldOf(page.plan, page.range, page.view, signal);
  story.draw(page.held, page.range);
}

async function loadUsers(signal) {
  const { range, view, clock } = page;
  const past = before(range);
  try {
    const now = await usersOf(range, view.group, signal);
    at("range-users").textContent = usersText(now);
    at("range-users").toggleAttribute("data-empty", now.high === undefined);
    const length = duration(range.to - range.from);
    at("range-beneath").textContent = `${errorText(now)} · ${clock.span(range.from, range.to)} (${length})`;
    const [then, again] = await Promise.all([
      usersOf(past, view.group, signal),
      usersOf(range, view.group, signal, past).catch(unknown),
    ]);
    at("range-past").textContent = pastText(now, then, again, length);
  } catch (refusal) {
    if (refusal.name === "AbortError") throw refusal;
    at("range-users").textContent = "–";
    at("range-beneath").textContent = refusal.message;
    at("range-past").textContent = "";
  }
}

/** Without sketches nobody knows who came back. */
function unknown(refusal) {
  if (refusal.name === "AbortError") throw refusal;
  return null;
}

function pastText(now, then, again, length) {
  if (!then.users) return "";
  const moved = now.users === null ? "" : `${change(then.users, now.users)} on `;
  const known = `${moved}the ${length} before: ${usersText(then)}`;
  if (!again?.users || now.users === null) return known;
  const rest = (whole) => number(Math.max(0, whole.users - again.users));
  return `${known} · ${usersText(again)} of them came back, ${rest(then)} are gone, ${rest(now)} are new`;
}

async function loadGroups(signal) {
  const fields = page.status.group_by;
  at("groups").hidden = !fields.length;
  if (!fields.length) return;
  // Only what was asked for last is shown, whichever answer comes first.
  choosing.abort();
  choosing = new AbortController();
  const by = groups.fieldOf(fields);
  const found = await topOf(page.range, by, groups.wanted, groups.wish, AbortSignal.any([signal, choosing.signal]));
  groups.show(found, by, page.clock.span(page.range.from, page.range.to));
}

async function loadRetention(signal) {
  const unit = at("cohort").value;
  const to = page.status.calendars.window.end;
  const range = { from: Math.max(page.status.calendars.window.oldest, to - COHORTS * LENGTHS[unit]), to };
  try {
    const cohorts = await cohortsOf(unit, range, COHORTS, page.view.group, page.clock.zone, signal);
    at("retention").hidden = cohorts.length < 1;
    retention.show(cohorts, unit, page.clock);
  } catch (refusal) {
    if (refusal.name === "AbortError") return;
    at("retention-beneath").textContent = refusal.message;
  }
}

function showChosen() {
  const { group } = page.view;
  at("chosen").hidden = !group;
  at("chosen-name").textContent = group ? nameOf(group) : "";
}

// Hearing

/** Hear of one group, or of all users together. */
function listenTo(group) {
  const wanted = groupParameter(group);
  if (listener && listener.group === wanted.group) return;
  listener?.close();
  listener = new Listener(wanted, { event: hear, open: () => arrived(), away: (error) => left(error) });
  listener.group = wanted.group;
}

function hear(kind, record) {
  if (kind === "reset") return start();
  if (kind === "window") return hearWindow(record);
  if (kind === "period") return hearRecord(record, record.calendar);
  if (kind === "running" && record.calendar === "day" && !record.final) hearDay(record);
}

function hearWindow(record) {
  const known = page.latest[0];
  if (known && record.ts < known.ts) return;
  if (known && record.ts > known.ts) {
    if (arrivals.note(endOf(record), Date.now() / 1_000)) story.late.add(record.ts);
    page.latest = [record, known];
  } else page.latest = [record, page.latest[1]];
  const { window } = page.status.calendars;
  window.end = Math.max(window.end, endOf(record));
  showNow();
  hearRecord(record, "window");
  refresh ??= setTimeout(refreshed, REFRESH_MS);
}

/** Draw it, if it is of the calendar that is drawn, up to what is freshest. */
function hearRecord(record, calendar) {
  if (page.view.from !== null || !page.held?.records || page.plan.calendar !== calendar) return;
  page.range = rangeOf(page.view, page.status);
  page.held.records = withRecord(page.held.records, record, before(page.range).from);
  story.showControls(page);
  story.draw(page.held, page.range);
}

function hearDay(record) {
  page.status.running = [...page.status.running.filter((one) => one.calendar !== "day"), record];
  showDay(ofRunning(record), page.clock);
}

/** What is too dear to be asked for each window. */
function refreshed() {
  refresh = null;
  if (page.view.from !== null || page.isAway) return;
  notice("");
  page.range = rangeOf(page.view, page.status);
  tell(loadUsers(asking.signal));
  if (!groups.isLong) tell(loadGroups(asking.signal));
  tell(loadDay(asking.signal));
  if (page.held?.series) tell(loadHistory(asking.signal));
}

function connection(state, text) {
  at("connection").dataset.state = state;
  at("connection").textContent = text;
}

function arrived() {
  connection("live", "live");
  const wasAway = page.isAway;
  page.isAway = false;
  if (wasAway) start();
  arrivals.pause(Date.now() / 1_000);
}

function left(error) {
  if (error.status === 401) return wantToken();
  page.isAway = true;
  connection("away", "server away, trying again …");
  showTimes();
}

// Beginning

/** Ask how things stand, and look at it. */
async function start() {
  try {
    page.status = await ask("/v1/status");
  } catch (error) {
    return error.status === 401 ? wantToken() : wait(error.message);
  }
  at("token").hidden = true;
  document.querySelector("main").removeAttribute("data-locked");
  notice("");
  if (!page.status.calendars.window) return wait("No window is published yet: the page begins with the first one.");
  page.view = readView(location.hash);
  if (page.view.from === null) page.view.span ??= firstSpan(page.status);
  look();
}

function wait(text) {
  notice(text);
  setTimeout(start, TICK_MS);
}

/** Until a good one is given, nothing else can be asked for. */
function wantToken() {
  connection("away", "a token is needed");
  at("token-label").textContent = hasToken() ? "This server does not take that token any more, or never did:" : "This server wants a token:";
  document.querySelector("main").toggleAttribute("data-locked", page.status === null);
  if (at("token").hidden) at("token-text").value = "";
  at("token").hidden = false;
  at("token-text").focus();
}

let ticks = 0;
async function tick() {
  if (!page.status?.calendars.window) return;
  showTimes();
  if (++ticks % STATUS_TICKS || page.isAway || document.hidden) return;
  try {
    page.status = await ask("/v1/status");
  } catch (error) {
    // What listens to the server notices that it is away.
    if (error.status === 401) wantToken();
  }
}

function setZone(zone) {
  localStorage.setItem("streamagg-zone", zone);
  page.clock = new Clock(zone);
}

/** The colours that were chosen here, else those of the system. */
function showTheme() {
  const chosen = localStorage.getItem("streamagg-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  at("theme").setAttribute("aria-pressed", String(isDark(chosen)));
  story.redraw();
}

function isDark(chosen) {
  return chosen ? chosen === "dark" : DARK.matches;
}

function controls() {
  const zones = [...new Set([Intl.DateTimeFormat().resolvedOptions().timeZone, "UTC"])];
  const known = localStorage.getItem("streamagg-zone");
  setZone(zones.includes(known) ? known : zones[0]);
  offer("zone", zones.map((zone) => [zone, zone]), page.clock.zone);
  at("zone").addEventListener("change", () => {
    setZone(at("zone").value);
    look();
  });
  showTheme();
  DARK.addEventListener("change", showTheme);
  at("theme").addEventListener("click", () => {
    localStorage.setItem("streamagg-theme", isDark(localStorage.getItem("streamagg-theme")) ? "light" : "dark");
    showTheme();
  });
  offer("cohort", Object.keys(LENGTHS).map((unit) => [unit, unit]), "week");
  at("cohort").addEventListener("change", () => loadRetention(asking.signal));
  at("unchoose").addEventListener("click", () => go({ group: null }));
  at("token").addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(at("token-text").value);
    listener?.close();
    listener = null;
    start();
  });
  addEventListener("popstate", () => {
    page.view = { ...readView(location.hash) };
    if (page.view.from === null) page.view.span ??= firstSpan(page.status);
    look();
  });
}

controls();
start();
setInterval(tick, TICK_MS);
