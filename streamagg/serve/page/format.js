/** Numbers, times and durations as people read them. Times are seconds since 1970. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fraction = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DAY = 86_400;
const UNITS = [
  [DAY, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** 12,345 or 0.25; a dash for no number. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) || Math.abs(value) >= 1_000 ? whole.format(value) : fraction.format(value);
}

/** 12K */
export function compact(value) {
  return short.format(value);
}

/** 1.2 % of a share */
export function percent(share, digits = 1) {
  return `${(share * 100).toFixed(digits)} %`;
}

/** +12 % from one number to another; nothing where that says nothing. */
export function change(from, to) {
  if (!from || to === null || to === undefined) return "";
  const share = to / from - 1;
  const digits = Math.abs(share) < 0.1 ? 1 : 0;
  return `${share < 0 ? "−" : "+"}${percent(Math.abs(share), digits)}`;
}

/** 90 s, 24 h, 3 d 4 h: the two largest units, days from two of them on. */
export function duration(seconds) {
  let rest = Math.max(0, seconds);
  if (rest < 1) return `${Math.round(rest * 1_000)} ms`;
  if (rest >= 2 * 365.25 * DAY) return `${Math.round(rest / (365.25 * DAY))} years`;
  rest = rest < 10 ? Math.round(rest * 10) / 10 : Math.round(rest);
  const parts = [];
  for (const [length, unit] of UNITS.slice(rest < 2 * DAY ? 1 : 0)) {
    const count = unit === "s" ? Math.round((rest % 60) * 10) / 10 : Math.floor(rest / length);
    if (count) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
    rest -= count * length;
    if (parts.length === 2 || (parts.length === 1 && rest < 1)) break;
  }
  return parts.join(" ") || "0 s";
}

/** Bytes as kB, MB or GB. */
export function bytes(count) {
  const unit = count >= 1e9 ? [1e9, "GB"] : count >= 1e6 ? [1e6, "MB"] : [1e3, "kB"];
  return `${(count / unit[0]).toFixed(count / unit[0] < 10 ? 1 : 0)} ${unit[1]}`;
}

/** Formats of times by the clock of a time zone. */
export class Clock {
  constructor(zone) {
    this.zone = zone;
    const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
    const day = { day: "numeric", month: "short" };
    const time = { hour: "2-digit", minute: "2-digit" };
    this._day = format(day);
    this._date = format({ ...day, year: "numeric" });
    this._month = format({ month: "short", year: "numeric" });
    this._minute = format(time);
    this._second = format({ ...time, second: "2-digit" });
    this._parts = format({ year: "numeric", month: "2-digit", day: "2-digit", ...time, second: "2-digit" });
  }

  /** 29 Nov 2026 */
  date(ts) {
    return this._date.format(ts * 1_000);
  }

  /** 29 Nov */
  day(ts) {
    return this._day.format(ts * 1_000);
  }

  /** Nov 2026 */
  month(ts) {
    return this._month.format(ts * 1_000);
  }

  /** 12:04, or 12:04:30 where that is not a whole minute. */
  time(ts) {
    return (ts % 60 === 0 ? this._minute : this._second).format(ts * 1_000);
  }

  /** 29 Nov 2026 12:04 */
  moment(ts) {
    return `${this.date(ts)} ${this.time(ts)}`;
  }

  /** From one time to another, no day said twice. */
  span(from, to) {
    if (this._isMidnight(from) && this._isMidnight(to)) {
      const last = to - 1;
      return this.date(from) === this.date(last) ? this.date(from) : `${this.date(from)} – ${this.date(last)}`;
    }
    const end = this.date(from) === this.date(to) ? this.time(to) : this.moment(to);
    return `${this.moment(from)} – ${end}`;
  }

  /** As a field for a date and a time has it: 2026-11-29T12:04 */
  field(ts) {
    const { year, month, day, hour, minute } = this._of(ts);
    return `${year}-${month}-${day}T${hour}:${minute}`;
  }

  /** The time that such a field means. */
  read(text) {
    const guess = Date.parse(`${text}Z`) / 1_000;
    let found = guess - this._offset(guess);
    found = guess - this._offset(found);
    return Number.isFinite(found) ? found : null;
  }

  _of(ts) {
    return Object.fromEntries(this._parts.formatToParts(ts * 1_000).map((part) => [part.type, part.value]));
  }

  /** Seconds that the clock is ahead of UTC. */
  _offset(ts) {
    if (!Number.isFinite(ts)) return 0;
    const { year, month, day, hour, minute, second } = this._of(ts);
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1_000 - Math.floor(ts);
  }

  _isMidnight(ts) {
    return ts % 60 === 0 && this._minute.format(ts * 1_000) === "00:00";
  }

  /** The start of the day that a time is in. */
  midnight(ts) {
    return this.read(`${this.field(ts).slice(0, 10)}T00:00`);
  }
}
