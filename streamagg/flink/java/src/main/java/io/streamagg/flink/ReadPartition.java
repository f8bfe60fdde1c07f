package io.streamagg.flink;

import io.streamagg.core.Handed;
import io.streamagg.core.PartitionClock;
import io.streamagg.core.PartitionState;
import io.streamagg.core.Row;
import io.streamagg.core.SettingsException;
import io.streamagg.core.Verdicts;
import io.streamagg.core.Windows;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.apache.flink.runtime.execution.SuppressRestartsException;

/** One partition as its clock operator sees it. */
final class ReadPartition implements Verdicts {
    /** Hears what becomes of records. */
    interface Outcomes {
        /** {@code clockMs}: the partition's clock just before the record; of its first record, that one's time. */
        void counted(Row row, long clockMs);

        void late(Row row, long clockMs);

        void future(Row row);

        void jump(int partition, long beforeMs, long timeMs);

        /** A window gets its first record of the partition; a daemon that counts it anew begins there. */
        void touched(int partition, long window, Handed.Partition before);
    }

    private final int number;
    private final Windows windows;
    private final Outcomes outcomes;
    private final PartitionClock clock;
    private long position;
    /** Offsets below it were read by a daemon before the job, and what is late of them was told. */
    private final long readBefore;
    /** Windows up to this one were published by it. */
    private final long publishedThrough;
    /** Where the step is that is under way, and the state before it, if that may be asked for. */
    private long step;
    private PartitionState before;
    /** Windows that have got records. */
    private final NavigableSet<Long> touched = new TreeSet<>();
    /** Of one of them, where times lie: nearly all of the records. */
    private long touchedFromMs = Long.MAX_VALUE;
    private long touchedUntilMs;
    private int unread;
    private long greatestMs = Status.NONE;
    private long clockMs;
    /** The clock that closes the next window. */
    private long nextMs;
    private boolean idle;

    ReadPartition(int number, Windows windows, Start start, Outcomes outcomes) {
        this(number, windows, start, Status.NONE, outcomes);
    }

    private ReadPartition(int number, Windows windows, Start start, long greatestMs, Outcomes outcomes) {
        this.number = number;
        this.windows = windows;
        this.outcomes = outcomes;
        this.greatestMs = greatestMs;
        position = start.position().offset();
        readBefore = start.position().readBefore();
        publishedThrough = start.publishedThrough();
        PartitionState state = start.position().state();
        unread = (int) state.setAside().stream().filter(one -> Handed.isUnread(one.row())).count();
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
        if (arrival.offset() < position) {
            unread -= arrival.row() != null && clock.recall(arrival.row()) ? 1 : 0;
            return false;
        }
        if (unread > 0) {
            throw new SuppressRestartsException(new SettingsException("Partition " + number + ": a record that the"
                    + " checkpoint has set aside is gone from the input. Start anew with --from earliest."));
        }
        step = arrival.offset();
        position = arrival.offset() + 1;
        boolean wasIdle = idle;
        idle = false;
        if (arrival.row() != null) {
            expect(arrival.row().timeMs());
            clock.feed(arrival.row(), arrival.live());
        }
        return hasMoved() || wasIdle;
    }

    /** Keeps the state if what follows may be the first record of a window. */
    private void expect(long timeMs) {
        if (clock.setAside() > 0 || !isTouched(timeMs)) {
            before = clock.state();
        }
    }

    private boolean isTouched(long timeMs) {
        return timeMs >= touchedFromMs && timeMs < touchedUntilMs;
    }

    private void touch(long timeMs) {
        long window = windows.number(timeMs);
        if (touched.add(window)) {
            outcomes.touched(number, window, new Handed.Partition(step, step, before));
        }
        touchedFromMs = windows.startMs(window);
        touchedUntilMs = windows.startMs(window + 1);
    }

    /** In silence: see {@link PartitionClock#believes}; not before all of it is known. */
    boolean believes(long nowMs) {
        return unread == 0 && clock.believes(nowMs);
    }

    /** In silence: see {@link PartitionClock#believe}. */
    void believe(long nowMs) {
        decide();
        clock.believe(nowMs);
    }

    /** Nothing follows: see {@link PartitionClock#end}. */
    void end() {
        decide();
        clock.end();
    }

    /** What is set aside is decided without a further record. */
    private void decide() {
        step = position;
        before = clock.state();
    }

    /** Where a daemon goes on if no window is open. */
    Handed.Partition held() {
        return new Handed.Partition(position, Math.max(position, readBefore), clock.state());
    }

    /** The clock has closed a window since this was asked last, or there is one now. */
    boolean hasMoved() {
        if (!clock.hasClock() || clock.clockMs() < nextMs) {
            return false;
        }
        nextMs = nextMs();
        touched.headSet(windows.lastClosed(clock.clockMs()), true).clear();
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
        long clockBeforeMs = clockMs == Status.NONE ? row.timeMs() : clockMs;
        clockMs = clockBehindMs;
        if (step < readBefore && windows.number(row.timeMs()) <= publishedThrough) {
            return;
        }
        if (!isTouched(row.timeMs())) {
            touch(row.timeMs());
        }
        greatestMs = Math.max(greatestMs, row.timeMs());
        outcomes.counted(row, clockBeforeMs);
    }

    @Override
    public void late(Row row, long clockBeforeMs) {
        if (step >= readBefore) {
            outcomes.late(row, clockBeforeMs);
        }
    }

    @Override
    public void future(Row row) {
        if (step >= readBefore) {
            outcomes.future(row);
        }
    }

    @Override
    public void jump(long beforeMs, long timeMs) {
        outcomes.jump(number, beforeMs, timeMs);
    }

    /** What {@link #read} reads. */
    byte[] toBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            new Handed.Partition(position, readBefore, clock.state()).write(out);
            out.writeLong(publishedThrough);
            out.writeLong(greatestMs);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    static ReadPartition read(byte[] bytes, int number, Windows windows, Outcomes outcomes) {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            Start start = new Start(Handed.Partition.read(in), in.readLong());
            return new ReadPartition(number, windows, start, in.readLong(), outcomes);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
