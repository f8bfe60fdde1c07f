/** What the server tells by itself: server-sent events, read here because EventSource sends no token. */

import { Refused, address, detailOf, headers, pause } from "./api.js";

/** The server gives a sign of life every 15 s. */
const SILENCE_MS = 40_000;
const LEAST_WAIT_MS = 500;
const MOST_WAIT_MS = 4_000;

/** Listens until it is closed, and comes back when the server does. */
export class Listener {
  /** `on.event(kind, record)`, `on.open()` and `on.away(error)` are called as it happens. */
  constructor(parameters, on) {
    this._parameters = parameters;
    this._on = on;
    this._last = null;
    this._wait = LEAST_WAIT_MS;
    this._closed = false;
    this._run();
  }

  /** Hear nothing any more. */
  close() {
    this._closed = true;
    this._request?.abort();
  }

  async _run() {
    while (!this._closed) {
      try {
        await this._hear();
      } catch (error) {
        if (this._closed) return;
        this._on.away(error);
        if (error.status === 401) return;
      }
      await pause(this._wait);
      this._wait = Math.min(2 * this._wait, MOST_WAIT_MS);
    }
  }

  async _hear() {
    this._request = new AbortController();
    const more = this._last === null ? {} : { "last-event-id": this._last };
    const asked = { headers: headers({ accept: "text/event-stream", ...more }), signal: this._request.signal };
    const answer = await fetch(address("/v1/live", this._parameters), asked);
    if (!answer.ok) throw new Refused(answer.status, await detailOf(answer));
    this._wait = LEAST_WAIT_MS;
    this._on.open();
    await this._read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    throw new Error("The server has ended the connection.");
  }

  async _read(reader) {
    let text = "";
    for (;;) {
      const silence = setTimeout(() => this._request.abort(), SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) this._take(event);
    }
  }

  _take(event) {
    const fields = {};
    for (const line of event.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (fields.id) this._last = fields.id;
    if (fields.data) this._on.event(fields.event ?? "message", JSON.parse(fields.data));
  }
}
