package io.streamagg.flink;

import io.streamagg.core.Handed;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * Where a daemon would have to go on: before the first record of any open window, as its own checkpoints have it.
 *
 * <p>The publisher gathers it, for it alone knows which windows are closed everywhere.
 */
final class HandOver {
    /** By partition: before the first record of each window that is not closed. */
    private final Map<Integer, NavigableMap<Long, Handed.Partition>> touched = new TreeMap<>();
    private final Map<Integer, Handed.Partition> held = new TreeMap<>();
    private final Map<List<Long>, Handed.Period> periods = new LinkedHashMap<>();

    void take(Fact.Touched fact) {
        touched.computeIfAbsent(fact.partition(), none -> new TreeMap<>()).putIfAbsent(fact.window(), fact.before());
    }

    void take(Fact.Held fact) {
        held.put(fact.partition(), fact.position());
    }

    void take(Fact.Kept fact) {
        Handed.Period period = new Handed.Period(
                fact.calendar(), fact.startMs(), fact.users(), new TreeMap<>(Map.of(fact.session(), fact.values())));
        periods.merge(List.of((long) fact.calendar(), fact.startMs()), period, HandOver::together);
    }

    private static Handed.Period together(Handed.Period one, Handed.Period other) {
        Map<String, Long> values = new TreeMap<>(one.values());
        values.putAll(other.values());
        return new Handed.Period(one.calendar(), one.startMs(), one.users() + other.users(), values);
    }

    /** Windows up to this one are closed. */
    void close(long window) {
        touched.values().forEach(windows -> windows.headMap(window, true).clear());
    }

    /** {@code through}: the last window that need not be counted any more; null: there is none. */
    Handed handed(Long through) {
        Map<Integer, Handed.Partition> positions = new TreeMap<>();
        held.forEach((partition, position) -> positions.put(partition, first(partition, position)));
        return new Handed(through, positions, new ArrayList<>(periods.values()));
    }

    private Handed.Partition first(int partition, Handed.Partition position) {
        Handed.Partition first = position;
        for (Handed.Partition before : touched.getOrDefault(partition, new TreeMap<>()).values()) {
            first = before.offset() < first.offset() ? before : first;
        }
        return new Handed.Partition(first.offset(), position.readBefore(), first.state());
    }

    /** What {@link #read} reads; only a job that hands back has anything else. */
    void write(DataOutput out) throws IOException {
        out.writeInt(touched.size());
        for (var partition : touched.entrySet()) {
            out.writeInt(partition.getKey());
            out.writeInt(partition.getValue().size());
            for (var window : partition.getValue().entrySet()) {
                out.writeLong(window.getKey());
                window.getValue().write(out);
            }
        }
    }

    static HandOver read(DataInput in) throws IOException {
        HandOver read = new HandOver();
        for (int left = in.readInt(); left > 0; left--) {
            int partition = in.readInt();
            for (int windows = in.readInt(); windows > 0; windows--) {
                read.take(new Fact.Touched(partition, in.readLong(), Handed.Partition.read(in)));
            }
        }
        return read;
    }
}
