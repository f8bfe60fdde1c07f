package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/** The least or the greatest value. */
final class ExtremeAccumulator implements Accumulator {
    private final int cell;
    private final boolean greatest;
    /** NaN: none. */
    private double value = Double.NaN;

    ExtremeAccumulator(int cell, boolean greatest) {
        this.cell = cell;
        this.greatest = greatest;
    }

    @Override
    public void add(Row row) {
        take(Double.longBitsToDouble(row.cells()[cell]));
    }

    @Override
    public void merge(Accumulator other) {
        take(((ExtremeAccumulator) other).value);
    }

    private void take(double other) {
        if (Double.isNaN(value) || (greatest ? other > value : other < value)) {
            value = other;
        }
    }

    @Override
    public Number result() {
        return Numbers.published(value);
    }

    @Override
    public void write(DataOutput out) throws IOException {
        out.writeDouble(value);
    }

    @Override
    public void read(DataInput in) throws IOException {
        value = in.readDouble();
    }

    @Override
    public void take(Object gain, int place) {
        take(Columns.doubleAt(gain, place));
    }

    @Override
    public Object gain(List<Accumulator> places) {
        return Columns.doubles(places, one -> ((ExtremeAccumulator) one).value);
    }
}
