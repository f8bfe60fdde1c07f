package io.streamagg.core;

import java.math.BigDecimal;

/** From a time as producers write it to milliseconds since the epoch, rounding down. */
final class EventTime {
    /** No time. */
    static final long NONE = -1;
    /** The first millisecond with a year of five digits. */
    static final long YEAR_10000_MS = 253_402_300_800_000L;

    private static final int MOST_DIGITS = 18;

    private EventTime() {}

    /** Of a JSON number, or of text; NONE if it is no time of this unit, before 1970 or after the year 9999. */
    static long parse(byte[] text, int from, int to, boolean quoted, DecodeSettings.Unit unit) {
        if (unit == DecodeSettings.Unit.ISO8601) {
            return quoted ? Iso8601.parse(text, from, to) : NONE;
        }
        return inRange(isNumber(text, from, to) ? number(text, from, to, unit) : NONE);
    }

    static long inRange(long timeMs) {
        return timeMs >= 0 && timeMs < YEAR_10000_MS ? timeMs : NONE;
    }

    /** The whole text is a number in JSON's grammar. */
    private static boolean isNumber(byte[] text, int from, int to) {
        // Behind the text a quote or another byte of the document follows, which ends a number.
        return to > from && Json.skipNumber(text, from) == to;
    }

    private static long number(byte[] text, int from, int to, DecodeSettings.Unit unit) {
        if (Json.skipInteger(text, from) == to) {
            return integer(text, from, to, unit);
        }
        double value = Numbers.parse(text, from, to);
        // A negative zero is none of these.
        if (value < 0 || value >= 1e24) {
            return NONE;
        }
        return switch (unit) {
            case S -> seconds(value);
            case MS -> (long) value;
            case US -> shifted(value, 3);
            default -> shifted(value, 6);
        };
    }

    private static long integer(byte[] text, int from, int to, DecodeSettings.Unit unit) {
        if (text[from] == '-') {
            return to == from + 2 && text[from + 1] == '0' ? 0 : NONE;
        }
        int dropped = unit == DecodeSettings.Unit.US ? 3 : unit == DecodeSettings.Unit.NS ? 6 : 0;
        int last = to - dropped;
        if (last - from > MOST_DIGITS - 3) {
            return NONE;
        }
        long value = 0;
        for (int p = from; p < last; p++) {
            value = value * 10 + (text[p] - '0');
        }
        return unit == DecodeSettings.Unit.S ? value * 1_000 : value;
    }

    /**
     * By the shortest decimal text. The nearest millisecond is right or one too high; it is too high exactly when
     * dividing it by 1000, which rounds correctly, gives more than the double.
     */
    private static long seconds(double value) {
        double nearest = Math.rint(value * 1_000);
        return (long) nearest - (nearest / 1_000 > value ? 1 : 0);
    }

    private static long shifted(double value, int places) {
        BigDecimal moved = Numbers.shortest(value).movePointLeft(places);
        return moved.precision() - moved.scale() > MOST_DIGITS ? NONE : moved.longValue();
    }
}
