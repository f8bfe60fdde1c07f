/** Questions to the server, with a token where it wants one. */

const TOKEN = "streamagg-token";
const TRIES = 3;

/** An answer that is none; the text is the server's. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Keep a token for as long as the page is open. */
export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Whether one was given. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** With the token, if there is one. */
export function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

/** A path with its parameters, those that have a value. */
export function address(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The answer to a question; waits and asks again where the server has too much to do. Throws Refused. */
export async function ask(path, parameters = {}, signal = undefined) {
  for (let tried = 1; ; tried++) {
    const answer = await fetch(address(path, parameters), { headers: headers({ accept: "application/json" }), signal });
    if (answer.ok) return answer.json();
    if (answer.status !== 503 || tried === TRIES) throw new Refused(answer.status, await detailOf(answer));
    await pause(1_000 * (Number(answer.headers.get("retry-after")) || 1));
  }
}

/** What the server says about a refusal. */
export async function detailOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return problem.detail ?? `The server says ${answer.status}.`;
}

/** Wait. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A group as a parameter. */
export function groupParameter(group) {
  return group ? { group: JSON.stringify(group) } : {};
}
