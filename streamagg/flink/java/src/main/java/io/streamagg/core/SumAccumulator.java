package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.math.BigInteger;
import java.util.List;

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

    @Override
    public void take(Object gain, int place) {
        List<?> parts = (List<?>) gain;
        int first = Math.toIntExact((Long) parts.get(1));
        int width = Math.toIntExact((Long) parts.get(2));
        count += Columns.at(parts.get(0), place);
        for (int limb = 0; limb < width; limb++) {
            sum.addLimb(first + limb, Columns.at(parts.get(3), place * width + limb));
        }
    }

    @Override
    public Object gain(List<Accumulator> places) {
        List<SumAccumulator> sums = places.stream().map(one -> (SumAccumulator) one).toList();
        int first = sums.stream().mapToInt(one -> one.sum.first()).min().orElseThrow();
        int behind = sums.stream().mapToInt(one -> one.sum.behind()).max().orElseThrow();
        long[] limbs = new long[sums.size() * (behind - first)];
        for (int place = 0; place < sums.size(); place++) {
            sums.get(place).sum.copyLimbs(limbs, place * (behind - first) - first);
        }
        byte[] counts = Columns.longs(sums, one -> one.count);
        return List.of(counts, (long) first, (long) (behind - first), Columns.of(limbs));
    }
}
