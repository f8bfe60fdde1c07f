package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.math.BigInteger;
import java.util.Arrays;

/**
 * A sum of doubles that does not depend on their order: exact, and rounded once, at the end.
 *
 * <p>It is an integer in units of 2**-1088, which every finite double is a multiple of, cut into limbs of 32 bits that
 * each have room for carries. Only those from the lowest to the highest that were hit are kept (Neal: Fast exact
 * summation using small and large superaccumulators, 2015).
 */
public final class ExactSum {
    private static final int LIMB_BITS = 32;
    private static final long MASK = 0xffffffffL;
    /** The limb of 2**0. */
    private static final int UNIT = 34;
    /** The least double is 2**-1074; so far above the lowest limb. */
    private static final int LOWEST_BITS = UNIT * LIMB_BITS - 1_074;
    private static final int MANTISSA_BITS = 52;
    /** An addition to a limb is below 2**33 in size. */
    private static final int MOST_ADDED = 1 << 29;
    /** Whole numbers below that are one addition to one limb. */
    private static final double SMALL = 0x1p31;

    private long[] limbs = {0};
    private int first = UNIT;
    private int added;

    /** Adds a finite value. */
    public void add(double value) {
        if (++added > MOST_ADDED) {
            carry();
            added = 1;
        }
        long whole = (long) value;
        if (whole == value && Math.abs(value) < SMALL) {
            limbs[at(UNIT)] += whole;
            return;
        }
        addParts(value);
    }

    private void addParts(double value) {
        long bits = Double.doubleToRawLongBits(value);
        int exponent = (int) (bits >>> MANTISSA_BITS) & 0x7ff;
        long mantissa = bits & (1L << MANTISSA_BITS) - 1 | (exponent > 0 ? 1L << MANTISSA_BITS : 0);
        // A subnormal double has the exponent of the least normal one, without the leading bit.
        int shift = Math.max(exponent, 1) + LOWEST_BITS - 1;
        int within = shift & LIMB_BITS - 1;
        long low = (mantissa & MASK) << within;
        long high = (mantissa >>> LIMB_BITS) << within;
        int sign = bits < 0 ? -1 : 1;
        int limb = shift / LIMB_BITS;
        reserve(limb, limb + 2);
        limbs[limb - first] += sign * (low & MASK);
        limbs[limb + 1 - first] += sign * ((low >>> LIMB_BITS) + (high & MASK));
        limbs[limb + 2 - first] += sign * (high >>> LIMB_BITS);
    }

    /** Adds what another one has come to. */
    public void merge(ExactSum other) {
        other.carry();
        carry();
        reserve(other.first, other.first + other.limbs.length - 1);
        for (int i = 0; i < other.limbs.length; i++) {
            limbs[other.first + i - first] += other.limbs[i];
        }
        added = 1;
    }

    /** The sum in parts of which {@code 2**-exponentOf()} are 1. */
    BigInteger total() {
        carry();
        BigInteger total = BigInteger.ZERO;
        for (int i = limbs.length - 1; i >= 0; i--) {
            total = total.shiftLeft(LIMB_BITS).add(BigInteger.valueOf(limbs[i]));
        }
        return total;
    }

    /** The power of two that the total is to be multiplied by. */
    int exponent() {
        return (first - UNIT) * LIMB_BITS;
    }

    private int at(int limb) {
        if (limb < first || limb >= first + limbs.length) {
            reserve(limb, limb);
        }
        return limb - first;
    }

    private void reserve(int low, int high) {
        int below = Math.max(0, first - low);
        int above = Math.max(0, high + 1 - first - limbs.length);
        if (below + above == 0) {
            return;
        }
        long[] larger = new long[below + limbs.length + above];
        System.arraycopy(limbs, 0, larger, below, limbs.length);
        limbs = larger;
        first -= below;
    }

    /** Every limb but the last has 32 bits afterwards, and that one a sign, too. */
    private void carry() {
        added = 0;
        for (int i = 0; i < limbs.length; i++) {
            boolean last = i == limbs.length - 1;
            if (last && limbs[i] == (int) limbs[i]) {
                return;
            }
            long carried = limbs[i] >> LIMB_BITS;
            if (last) {
                limbs = Arrays.copyOf(limbs, limbs.length + 1);
            }
            limbs[i] &= MASK;
            limbs[i + 1] += carried;
        }
    }

    /** What {@link #read} reads. */
    public void write(DataOutput out) throws IOException {
        carry();
        out.writeByte(first);
        out.writeByte(limbs.length);
        for (long limb : limbs) {
            out.writeInt((int) limb);
        }
    }

    public static ExactSum read(DataInput in) throws IOException {
        ExactSum sum = new ExactSum();
        sum.first = in.readByte();
        sum.limbs = new long[in.readByte()];
        for (int i = 0; i < sum.limbs.length; i++) {
            int limb = in.readInt();
            sum.limbs[i] = i == sum.limbs.length - 1 ? limb : limb & MASK;
        }
        return sum;
    }

    /** Adds a limb as a sum of streamagg has it: 32 bits, or below that with a sign. */
    void addLimb(int limb, long value) {
        if (++added > MOST_ADDED) {
            carry();
            added = 1;
        }
        // Not in one line: the array may be replaced by a longer one.
        int at = at(limb);
        limbs[at] += value;
    }

    int first() {
        return first;
    }

    /** The limb behind the last; all are in order then. */
    int behind() {
        carry();
        return first + limbs.length;
    }

    /** Writes the limbs into an array, the limb n at {@code from + n}; they are in order. */
    void copyLimbs(long[] target, int from) {
        System.arraycopy(limbs, 0, target, from + first, limbs.length);
    }
}
