package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** How many rows have a value. */
final class CountAccumulator implements Accumulator {
    private final int cell;
    private long count;

    CountAccumulator(int cell) {
        this.cell = cell;
    }

    @Override
    public void add(Row row) {
        count += Double.isNaN(Double.longBitsToDouble(row.cells()[cell])) ? 0 : 1;
    }

    @Override
    public void merge(Accumulator other) {
        count += ((CountAccumulator) other).count;
    }

    @Override
    public Number result() {
        return count;
    }

    @Override
    public void write(DataOutput out) throws IOException {
        out.writeLong(count);
    }

    @Override
    public void read(DataInput in) throws IOException {
        count = in.readLong();
    }

    @Override
    public void take(Object gain, int place) {
        count += Columns.at(gain, place);
    }

    @Override
    public Object gain(List<Accumulator> places) {
        return Columns.longs(places, one -> ((CountAccumulator) one).count);
    }
}
