package io.streamagg.flink;

import io.streamagg.core.PartitionClock;
import io.streamagg.core.PartitionState;
import io.streamagg.core.Row;
import io.streamagg.core.Verdicts;
import io.streamagg.core.Windows;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/** One partition as its clock operator sees it. */
final class ReadPartition implements Verdicts {
    /** Hears what becomes of records. */
    interface Outcomes {
        /** {@code clockMs}: the partition's clock just before the record; of its first record, that one's time. */
        void counted(Row row, long clockMs);

        void late(Row row, long clockMs);

        void future(Row row);

        void jump(int partition, long beforeMs, long timeMs);
    }

    private final int number;
    private final Windows windows;
    private final Outcomes outcomes;
    private final PartitionClock clock;
    private long position;
    private long greatestMs = Status.NONE;
    private long clockMs;
    /** The clock that closes the next window. */
    private long nextMs;
    private boolean idle;

    ReadPartition(int number, Windows windows, Start start, Outcomes outcomes) {
        this(number, windows, start.state(), start.offset(), Status.NONE, outcomes);
    }

    private ReadPartition(
            int number, Windows windows, PartitionState state, long position, long greatestMs, Outcomes outcomes) {
        this.number = number;
        this.windows = windows;
        this.outcomes = outcomes;
        this.position = position;
        this.greatestMs = greatestMs;
        clock = new PartitionClock(windows, state, this);
        clockMs = clock.hasClock() ? clock.clockMs() : Status.NONE;
        nextMs = clock.hasClock() ? nextMs() : Status.NONE;
    }

    int number() {
        return number;
    }

    /** The next offset to read. */
    long position() {
        return position;
    }

    boolean isIdle() {
        return idle;
    }

    void becomeIdle() {
        idle = true;
    }

    PartitionClock clock() {
        return clock;
    }

    /** The offset of the first record that is set aside. */
    long firstAside() {
        return clock.setAside() == 0
                ? Silence.NOTHING_ASIDE
                : clock.state().setAside().get(0).row().offset();
    }

    /** Applies a record; returns whether others have to hear how far this partition is. */
    boolean take(Arrival arrival) {
        position = arrival.offset() + 1;
        boolean wasIdle = idle;
        idle = false;
        if (arrival.row() != null) {
            clock.feed(arrival.row(), arrival.live());
        }
        return hasMoved() || wasIdle;
    }

    /** The clock has closed a window since this was asked last, or there is one now. */
    boolean hasMoved() {
        if (!clock.hasClock() || clock.clockMs() < nextMs) {
            return false;
        }
        nextMs = nextMs();
        return true;
    }

    private long nextMs() {
        return windows.closesAtMs(windows.lastClosed(clock.clockMs()) + 1);
    }

    Status.Partition status() {
        return new Status.Partition(idle, clock.hasClock() ? clock.clockMs() : Status.NONE, greatestMs);
    }

    /** Windows up to this one are partial; NONE: none is. */
    long partialThrough() {
        return clock.partialThrough() == null ? Status.NONE : clock.partialThrough();
    }

    @Override
    public void counted(Row row, long clockBehindMs) {
        greatestMs = Math.max(greatestMs, row.timeMs());
        outcomes.counted(row, clockMs == Status.NONE ? row.timeMs() : clockMs);
        clockMs = clockBehindMs;
    }

    @Override
    public void late(Row row, long clockBeforeMs) {
        outcomes.late(row, clockBeforeMs);
    }

    @Override
    public void future(Row row) {
        outcomes.future(row);
    }

    @Override
    public void jump(long beforeMs, long timeMs) {
        outcomes.jump(number, beforeMs, timeMs);
    }

    /** What {@link #read} reads. */
    byte[] toBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeLong(position);
            out.writeLong(greatestMs);
            clock.state().write(out);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    static ReadPartition read(byte[] bytes, int number, Windows windows, Outcomes outcomes) {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            long position = in.readLong();
            long greatestMs = in.readLong();
            return new ReadPartition(number, windows, PartitionState.read(in), position, greatestMs, outcomes);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
