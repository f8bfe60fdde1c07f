package io.streamagg.core;

import java.time.DateTimeException;
import java.time.LocalDate;

/** ISO 8601 as docs/decoding.md has it. */
final class Iso8601 {
    private static final int DAY_MINUTES = 24 * 60;

    private final byte[] text;
    private final int to;
    private int p;
    private boolean wrong;

    private Iso8601(byte[] text, int from, int to) {
        this.text = text;
        this.p = from;
        this.to = to;
    }

    /** Milliseconds since the epoch; without an offset the text is UTC; EventTime.NONE if it is no time. */
    static long parse(byte[] text, int from, int to) {
        return new Iso8601(text, from, to).time();
    }

    private long time() {
        long minutes = days() * DAY_MINUTES;
        long ms = 0;
        if (p < to) {
            wrong |= !(take('T') || take(' '));
            minutes += 60 * below(24);
            boolean extended = take(':');
            if (extended || isDigit()) {
                minutes += below(60);
                if (extended ? take(':') : isDigit()) {
                    ms = below(60) * 1_000L + fractionMs();
                }
            }
            minutes -= offset();
        }
        return wrong || p != to ? EventTime.NONE : EventTime.inRange(minutes * 60_000 + ms);
    }

    private long days() {
        int year = number(4);
        boolean extended = take('-');
        int month = number(2);
        wrong |= extended && !take('-');
        int day = number(2);
        // Python has no year 0.
        wrong |= year == 0;
        try {
            return wrong ? 0 : LocalDate.of(year, month, day).toEpochDay();
        } catch (DateTimeException error) {
            wrong = true;
            return 0;
        }
    }

    /** The first three digits behind a point, if there is one. */
    private int fractionMs() {
        if (!take('.') && !take(',')) {
            return 0;
        }
        wrong |= !isDigit();
        int value = 0;
        for (int scale = 100; isDigit(); scale /= 10) {
            value += scale * (text[p++] - '0');
        }
        return value;
    }

    /** Minutes east of UTC. */
    private int offset() {
        if (p == to || take('Z')) {
            return 0;
        }
        int sign = take('-') ? -1 : 1;
        wrong |= sign > 0 && !take('+');
        int minutes = 60 * below(24);
        if (take(':') || isDigit()) {
            minutes += below(60);
        }
        return sign * minutes;
    }

    private int below(int limit) {
        int value = number(2);
        wrong |= value >= limit;
        return value;
    }

    private int number(int digits) {
        int value = 0;
        for (int i = 0; i < digits; i++) {
            if (!isDigit()) {
                wrong = true;
                return 0;
            }
            value = value * 10 + (text[p++] - '0');
        }
        return value;
    }

    private boolean isDigit() {
        return p < to && Json.isDigit(text[p]);
    }

    private boolean take(char letter) {
        boolean there = p < to && text[p] == letter;
        p += there ? 1 : 0;
        return there;
    }
}
