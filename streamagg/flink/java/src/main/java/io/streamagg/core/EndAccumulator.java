package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** The first or the last value, by event time; of the same time by partition, and then by offset. */
final class EndAccumulator implements Accumulator {
    private final int cell;
    private final boolean last;
    /** NaN: none. */
    private double value = Double.NaN;
    private long timeMs;
    private int partition;
    private long offset;

    EndAccumulator(int cell, boolean last) {
        this.cell = cell;
        this.last = last;
    }

    @Override
    public void add(Row row) {
        take(Double.longBitsToDouble(row.cells()[cell]), row.timeMs(), row.partition(), row.offset());
    }

    @Override
    public void merge(Accumulator other) {
        EndAccumulator more = (EndAccumulator) other;
        take(more.value, more.timeMs, more.partition, more.offset);
    }

    private void take(double otherValue, long otherTimeMs, int otherPartition, long otherOffset) {
        if (Double.isNaN(otherValue)) {
            return;
        }
        if (!Double.isNaN(value)) {
            int order = Long.compare(otherTimeMs, timeMs);
            order = order != 0 ? order : Integer.compare(otherPartition, partition);
            order = order != 0 ? order : Long.compare(otherOffset, offset);
            if (last ? order <= 0 : order >= 0) {
                return;
            }
        }
        value = otherValue;
        timeMs = otherTimeMs;
        partition = otherPartition;
        offset = otherOffset;
    }

    @Override
    public Number result() {
        return Numbers.published(value);
    }

    @Override
    public void write(DataOutput out) throws IOException {
        out.writeDouble(value);
        out.writeLong(timeMs);
        out.writeInt(partition);
        out.writeLong(offset);
    }

    @Override
    public void read(DataInput in) throws IOException {
        value = in.readDouble();
        timeMs = in.readLong();
        partition = in.readInt();
        offset = in.readLong();
    }

    @Override
    public void take(Object gain, int place) {
        List<?> columns = (List<?>) gain;
        int from = (int) Columns.at(columns.get(1), place);
        double there = Columns.doubleAt(columns.get(3), place);
        take(there, Columns.at(columns.get(0), place), from, Columns.at(columns.get(2), place));
    }

    @Override
    public Object gain(List<Accumulator> places) {
        List<EndAccumulator> ends = places.stream().map(one -> (EndAccumulator) one).toList();
        return List.of(
                Columns.longs(ends, one -> one.timeMs),
                Columns.longs(ends, one -> one.partition),
                Columns.longs(ends, one -> one.offset),
                Columns.doubles(ends, one -> one.value));
    }
}
