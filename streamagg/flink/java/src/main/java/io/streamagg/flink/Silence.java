package io.streamagg.flink;

/**
 * Whether one partition is idle, or only slow: as streamagg/engine/session/silence.py has it.
 *
 * <p>Nothing has come for the idle time-out, and for half of it the broker has said, whenever it was asked, that
 * nothing follows what was read. Times are of a clock that is never set.
 */
final class Silence {
    /** What follows from what the broker says. */
    enum Decision { NOTHING, IDLE, BELIEVE }

    static final long NOTHING_ASIDE = -1;
    private static final long NOT_CONFIRMED = Long.MIN_VALUE;

    private final long timeoutMs;
    private long arrivedMs;
    private long standsSinceMs;
    private long firstAside;
    private long atEndMs = NOT_CONFIRMED;

    /** {@code firstAside}: offset of the first record that is set aside, or NOTHING_ASIDE. */
    Silence(long timeoutMs, long firstAside, long nowMs) {
        this.timeoutMs = timeoutMs;
        this.firstAside = firstAside;
        arrivedMs = nowMs;
        standsSinceMs = nowMs;
    }

    /** A record has come. */
    void arrived(long nowMs) {
        arrivedMs = nowMs;
        atEndMs = NOT_CONFIRMED;
    }

    /** Records were applied or decided. */
    void applied(long nextFirstAside) {
        if (nextFirstAside != firstAside) {
            firstAside = nextFirstAside;
            standsSinceMs = arrivedMs;
        }
    }

    /** The end of its log is to be asked for. */
    boolean isQuiet(boolean believable, long nowMs) {
        return 2 * (nowMs - sinceMs(believable)) >= timeoutMs;
    }

    /** The broker does not answer: any silence begins again. */
    void unknown() {
        atEndMs = NOT_CONFIRMED;
    }

    /** The answer to a question; what follows if nothing has come since then. */
    Decision confirm(boolean atEnd, boolean believable, long askedMs) {
        if (!isQuiet(believable, askedMs)) {
            return Decision.NOTHING;
        }
        if (!atEnd) {
            atEndMs = NOT_CONFIRMED;
            return Decision.NOTHING;
        }
        if (atEndMs == NOT_CONFIRMED) {
            atEndMs = askedMs;
        }
        if (askedMs - arrivedMs < timeoutMs) {
            return askedMs - sinceMs(believable) >= timeoutMs ? Decision.BELIEVE : Decision.NOTHING;
        }
        return 2 * (askedMs - atEndMs) >= timeoutMs ? Decision.IDLE : Decision.NOTHING;
    }

    private long sinceMs(boolean believable) {
        return believable ? standsSinceMs : arrivedMs;
    }
}
