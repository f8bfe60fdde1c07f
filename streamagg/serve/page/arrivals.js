/** When windows came, and whether one came late: much later behind its end than those before it. */

const REMEMBERED = 31;
const LEAST_KNOWN = 5;
const FACTOR = 2;
const LEAST_S = 2;
/** After the connection was opened, what comes was kept for us. */
const PAUSE_S = 3;

/** Of windows that were told while the page listened. Times in seconds. */
export class Arrivals {
  constructor() {
    this._delays = [];
    this._last = null;
    this._paused = 0;
  }

  /** Seconds since the last window came; null if none has. */
  heard(now) {
    return this._last === null ? null : now - this._last;
  }

  /** What comes in the next moments says nothing. */
  pause(now) {
    this._paused = now + PAUSE_S;
  }

  /** A window that ended at `end` has come: whether it is late. */
  note(end, now) {
    this._last = now;
    if (now < this._paused) return false;
    const delay = now - end;
    const sorted = [...this._delays].sort((one, other) => one - other);
    const usual = sorted[sorted.length >> 1];
    this._delays = [...this._delays, delay].slice(-REMEMBERED);
    return sorted.length >= LEAST_KNOWN && delay > FACTOR * usual + LEAST_S;
  }
}
