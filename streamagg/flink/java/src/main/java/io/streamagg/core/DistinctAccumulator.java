package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** How many different values there are. */
final class DistinctAccumulator implements Accumulator {
    private final int cell;
    private LongSet values = new LongSet();

    DistinctAccumulator(int cell) {
        this.cell = cell;
    }

    @Override
    public void add(Row row) {
        long hash = row.cells()[cell];
        if (hash != 0) {
            values.add(hash);
        }
    }

    @Override
    public void merge(Accumulator other) {
        values.addAll(((DistinctAccumulator) other).values);
    }

    @Override
    public Number result() {
        return (long) values.size();
    }

    @Override
    public void write(DataOutput out) throws IOException {
        values.write(out);
    }

    @Override
    public void read(DataInput in) throws IOException {
        values = LongSet.read(in);
    }

    /** One of the values at a place. */
    void take(long hash) {
        values.add(hash);
    }

    @Override
    public void take(Object gain, int place) {
        throw new UnsupportedOperationException("members are taken one by one");
    }

    @Override
    public Object gain(List<Accumulator> places) {
        return PeriodGain.members(places.stream().map(one -> ((DistinctAccumulator) one).values).toList());
    }
}
