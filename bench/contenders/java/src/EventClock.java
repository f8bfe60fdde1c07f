/** How far event time has come in one partition, and which windows that closes. All times in seconds. */
final class EventClock {
    static final long WINDOW_S = 60;
    static final long LATENESS_S = 5;

    private long latest = Long.MIN_VALUE;
    private long due = Long.MIN_VALUE;
    private long closedBefore = Long.MIN_VALUE;

    static long windowOf(long second) {
        return Math.floorDiv(second, WINDOW_S) * WINDOW_S;
    }

    /** False: records of this window come too late. */
    boolean isOpen(long start) {
        return start >= closedBefore;
    }

    void see(long second) {
        if (second > latest) {
            latest = second;
            due = windowOf(second - LATENESS_S);
        }
    }

    /** Whether windows have ended, and the time for their late records too, that are not closed. */
    boolean isDue() {
        return due > closedBefore;
    }

    /** Windows that start before this one are over. */
    long due() {
        return due;
    }

    void close(long before) {
        closedBefore = before;
    }
}
