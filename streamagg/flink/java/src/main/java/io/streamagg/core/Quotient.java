package io.streamagg.core;

import java.math.BigInteger;

/** Division of integers with one rounding. */
final class Quotient {
    /** Of the least double. */
    private static final int LOWEST_EXPONENT = -1_074;
    private static final int MANTISSA_BITS = 53;

    private Quotient() {}

    /** The nearest double, of two the even one; infinite above the greatest. The divisor is positive. */
    static double nearest(BigInteger dividend, BigInteger divisor) {
        BigInteger size = dividend.abs();
        if (size.signum() == 0) {
            return 0;
        }
        // The quotient times 2**-exponent has the bits of a mantissa, or one more.
        int exponent = Math.max(size.bitLength() - divisor.bitLength() - MANTISSA_BITS, LOWEST_EXPONENT);
        long mantissa = rounded(size, divisor, exponent);
        if (mantissa >>> MANTISSA_BITS != 0) {
            mantissa = rounded(size, divisor, ++exponent);
        }
        double value = Math.scalb((double) mantissa, exponent);
        return dividend.signum() < 0 ? -value : value;
    }

    private static long rounded(BigInteger dividend, BigInteger divisor, int exponent) {
        BigInteger scaledDividend = dividend.shiftLeft(Math.max(0, -exponent));
        BigInteger scaledDivisor = divisor.shiftLeft(Math.max(0, exponent));
        BigInteger[] parts = scaledDividend.divideAndRemainder(scaledDivisor);
        long mantissa = parts[0].longValueExact();
        int half = parts[1].shiftLeft(1).compareTo(scaledDivisor);
        return half > 0 || (half == 0 && (mantissa & 1) != 0) ? mantissa + 1 : mantissa;
    }
}
