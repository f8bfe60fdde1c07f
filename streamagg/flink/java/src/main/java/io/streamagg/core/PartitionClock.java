package io.streamagg.core;

import java.util.ArrayList;
import java.util.List;

/**
 * The clock of one partition: what is late, what is too far ahead to be believed, and what moves the clock.
 *
 * <p>The rules are those of streamagg/core/partition_clock.py and docs/design.md, "Jumps into the future": each is a
 * function of the state and of the records that follow, in offset order.
 */
public final class PartitionClock {
    /** Votes by which one side must win. */
    static final int LEAD = 24;
    /** Records set aside at once. */
    static final int ROOM = 32;
    /** How many max jumps behind the clock a record loses its vote. */
    private static final int PAST = 5;

    private final Windows windows;
    private final Verdicts verdicts;
    private final long maxJumpMs;
    private boolean hasClock;
    private long clockMs;
    private int agreement;
    private final boolean beganInside;
    private Long partialThrough;
    private final Waiting[] waiting = new Waiting[ROOM + 1];
    private int count;

    private static final class Waiting {
        private final Row row;
        private int lead;

        private Waiting(Row row, int lead) {
            this.row = row;
            this.lead = lead;
        }
    }

    /** Goes on from a state. */
    public PartitionClock(Windows windows, PartitionState state, Verdicts verdicts) {
        this.windows = windows;
        this.verdicts = verdicts;
        maxJumpMs = windows.maxJumpMs();
        hasClock = state.clockMs() != null;
        clockMs = hasClock ? state.clockMs() : 0;
        agreement = state.agreement();
        beganInside = state.beganInside();
        partialThrough = state.partialThrough();
        for (PartitionState.SetAside aside : state.setAside()) {
            waiting[count++] = new Waiting(aside.row(), aside.lead());
        }
    }

    /** A copy of the present state. */
    public PartitionState state() {
        List<PartitionState.SetAside> setAside = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            setAside.add(new PartitionState.SetAside(waiting[i].row, waiting[i].lead));
        }
        return new PartitionState(
                hasClock ? (Long) clockMs : null, agreement, List.copyOf(setAside), beganInside, partialThrough);
    }

    /** Gives a record that is set aside its row, of which only place and time were known; false if it is none. */
    public boolean recall(Row row) {
        for (int i = 0; i < count; i++) {
            if (waiting[i].row.offset() == row.offset() && Handed.isUnread(waiting[i].row)) {
                waiting[i] = new Waiting(row, waiting[i].lead);
                return true;
            }
        }
        return false;
    }

    /** There was a record that moved the clock. */
    public boolean hasClock() {
        return hasClock;
    }

    /** Greatest event time that has moved the clock, once there is one. */
    public long clockMs() {
        return clockMs;
    }

    /** How many records are set aside. */
    public int setAside() {
        return count;
    }

    /** The window that is partial because reading began inside it, with all before it; null: none. */
    public Long partialThrough() {
        return partialThrough;
    }

    /** Whether a record is live: its broker has stamped it (LogAppendTime) within max jump of its event time. */
    public boolean isLive(long timeMs, long appendedMs) {
        return appendedMs >= 0 && Math.abs(appendedMs - timeMs) <= maxJumpMs;
    }

    /** Applies the next decodable record: it votes, is applied or set aside, and what that decides is applied too. */
    public void feed(Row row, boolean live) {
        long timeMs = row.timeMs();
        boolean reached = isReached(timeMs);
        boolean moves = agreement > 0 || !reached;
        vote(timeMs);
        if (reached || live) {
            apply(row, moves);
        } else {
            setAside(row);
        }
        if (count > 0) {
            applyDecided(LEAD, Long.MAX_VALUE);
            rejectRefuted();
        }
    }

    /** The partition has ended: what is set aside is applied unless a majority of those behind it contradicts it. */
    public void end() {
        applyDecided(0, Long.MAX_VALUE);
        for (int i = 0; i < count; i++) {
            verdicts.future(waiting[i].row);
            waiting[i] = null;
        }
        count = 0;
    }

    /** Whether {@link #believe} would apply anything. */
    public boolean believes(long nowMs) {
        for (int i = 0; i < count; i++) {
            if (waiting[i].lead >= 0 && waiting[i].row.timeMs() <= nowMs + maxJumpMs) {
                return true;
            }
        }
        return false;
    }

    /** In silence: applies what no majority contradicts and what is not ahead of the time of day. */
    public void believe(long nowMs) {
        applyDecided(0, nowMs + maxJumpMs);
    }

    private boolean isReached(long timeMs) {
        return hasClock && timeMs <= clockMs + maxJumpMs;
    }

    /** What a record says of those set aside and of the clock. */
    private void vote(long timeMs) {
        if (hasClock) {
            long behindMs = clockMs - timeMs;
            if (behindMs > PAST * maxJumpMs) {
                return;
            }
            if (behindMs > maxJumpMs / 2) {
                agreement = Math.max(-LEAD, agreement - 1);
            } else {
                agreement = Math.min(LEAD, agreement + 1);
            }
        }
        for (int i = 0; i < count; i++) {
            waiting[i].lead += waiting[i].row.timeMs() <= timeMs + maxJumpMs ? 1 : -1;
        }
    }

    private void apply(Row row, boolean moves) {
        long timeMs = row.timeMs();
        if (hasClock) {
            if (windows.isLate(timeMs, clockMs)) {
                verdicts.late(row, clockMs);
                return;
            }
            if (timeMs > clockMs + maxJumpMs) {
                verdicts.jump(clockMs, timeMs);
            }
        }
        if (beganInside && partialThrough == null) {
            partialThrough = windows.number(timeMs);
        }
        if (!hasClock || (moves && timeMs > clockMs)) {
            hasClock = true;
            clockMs = timeMs;
        }
        verdicts.counted(row, clockMs);
    }

    /** Of more than there is room for, the one furthest ahead is rejected, of equals the last. */
    private void setAside(Row row) {
        waiting[count++] = new Waiting(row, 0);
        if (count <= ROOM) {
            return;
        }
        int farthest = 0;
        for (int i = 1; i < count; i++) {
            if (waiting[i].row.timeMs() >= waiting[farthest].row.timeMs()) {
                farthest = i;
            }
        }
        verdicts.future(take(farthest).row);
    }

    /** Applies, in offset order, what is within reach since the clock moved, or leads and is no later than a time. */
    private void applyDecided(int lead, long untilMs) {
        for (int i = 0; i < count; ) {
            long timeMs = waiting[i].row.timeMs();
            boolean reached = isReached(timeMs);
            if (reached || (waiting[i].lead >= lead && timeMs <= untilMs)) {
                apply(take(i).row, !reached || agreement > 0);
                i = 0;
            } else {
                i++;
            }
        }
    }

    private void rejectRefuted() {
        for (int i = 0; i < count; ) {
            if (waiting[i].lead <= -LEAD) {
                verdicts.future(take(i).row);
            } else {
                i++;
            }
        }
    }

    private Waiting take(int at) {
        Waiting taken = waiting[at];
        count--;
        System.arraycopy(waiting, at + 1, waiting, at, count - at);
        waiting[count] = null;
        return taken;
    }
}
