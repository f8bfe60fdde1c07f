package io.streamagg.core;

import java.io.Serializable;

/** Windows {@code [start, end)} of equal length, numbered from the epoch plus an offset; times in milliseconds. */
public record Windows(long granularityMs, long offsetMs, long maxLagMs, long maxJumpMs) implements Serializable {
    public static Windows of(WindowSettings settings) {
        return new Windows(
                settings.granularityMs(), settings.offsetMs(), settings.maxLagMs(), settings.maxJumpMs());
    }

    /** The number of the window that contains a time. */
    public long number(long timeMs) {
        return Math.floorDiv(timeMs - offsetMs, granularityMs);
    }

    /** Where a window begins, inclusive. */
    public long startMs(long window) {
        return window * granularityMs + offsetMs;
    }

    /** The watermark that closes the window: its end plus max lag. */
    public long closesAtMs(long window) {
        return startMs(window + 1) + maxLagMs;
    }

    /** The greatest window that is closed at a clock; a record in it, or before it, is late. */
    public long lastClosed(long clockMs) {
        return number(clockMs - maxLagMs) - 1;
    }

    /** Whether a record is late by the clock of its partition just before it. */
    public boolean isLate(long timeMs, long clockMs) {
        return number(timeMs) <= lastClosed(clockMs);
    }
}
