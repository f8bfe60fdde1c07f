package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.math.BigInteger;

/** The exact sum of the values, or that divided by their number and rounded once. */
final class SumAccumulator implements Accumulator {
    private static final int INT64_BITS = 63;

    private final int cell;
    private final boolean average;
    private long count;
    private ExactSum sum = new ExactSum();

    SumAccumulator(int cell, boolean average) {
        this.cell = cell;
        this.average = average;
    }

    @Override
    public void add(Row row) {
        double value = Double.longBitsToDouble(row.cells()[cell]);
        if (!Double.isNaN(value)) {
            count++;
            sum.add(value);
        }
    }

    @Override
    public void merge(Accumulator other) {
        SumAccumulator more = (SumAccumulator) other;
        count += more.count;
        sum.merge(more.sum);
    }

    @Override
    public Number result() {
        if (count == 0) {
            return null;
        }
        BigInteger total = sum.total();
        int exponent = sum.exponent();
        BigInteger numerator = total.shiftLeft(Math.max(0, exponent));
        BigInteger unit = BigInteger.ONE.shiftLeft(Math.max(0, -exponent));
        if (average) {
            return Numbers.published(Quotient.nearest(numerator, unit.multiply(BigInteger.valueOf(count))));
        }
        BigInteger[] whole = numerator.divideAndRemainder(unit);
        boolean exact = whole[1].signum() == 0 && whole[0].abs().bitLength() <= INT64_BITS;
        return exact ? (Number) whole[0].longValue() : Numbers.published(Quotient.nearest(numerator, unit));
    }

    @Override
    public void write(DataOutput out) throws IOException {
        out.writeLong(count);
        sum.write(out);
    }

    @Override
    public void read(DataInput in) throws IOException {
        count = in.readLong();
        sum = ExactSum.read(in);
    }
}
