package io.streamagg.core;

import com.fasterxml.jackson.core.io.NumberOutput;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;

/** Doubles from and to decimal text. */
final class Numbers {
    private static final double[] POWERS_OF_TEN = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22
    };
    private static final int MAX_POWER = 22;
    /** More characters may be an integer that does not fit in 64 bits. */
    private static final int MAX_CHARACTERS = 19;
    /** From this power of ten on, Python and orjson write an exponent. */
    private static final int LARGE = 16;
    private static final double WHOLE_BELOW = 0x1p63;

    private Numbers() {}

    /** The nearest double of a JSON number; infinite if it is beyond all range. */
    static double parse(byte[] text, int from, int to) {
        double value = to - from <= MAX_CHARACTERS ? inOneStep(text, from, to) : Double.NaN;
        return Double.isNaN(value)
                ? Double.parseDouble(new String(text, from, to - from, StandardCharsets.ISO_8859_1))
                : value;
    }

    /**
     * Digits and a power of ten that are exact as doubles: their product or quotient is the nearest one (Clinger
     * 1990). NaN for all other numbers.
     */
    private static double inOneStep(byte[] text, int from, int to) {
        long digits = 0;
        long power = 0;
        boolean behindPoint = false;
        int p = text[from] == '-' ? from + 1 : from;
        for (; p < to && (text[p] | 0x20) != 'e'; p++) {
            if (text[p] == '.') {
                behindPoint = true;
                continue;
            }
            digits = digits * 10 + (text[p] - '0');
            power -= behindPoint ? 1 : 0;
        }
        if (p < to) {
            power += exponent(text, p + 1, to);
        }
        if (digits >>> 53 != 0 || power < -MAX_POWER || power > MAX_POWER) {
            return Double.NaN;
        }
        double size =
                power < 0 ? digits / POWERS_OF_TEN[(int) -power] : digits * POWERS_OF_TEN[(int) power];
        return text[from] == '-' ? -size : size;
    }

    private static long exponent(byte[] text, int p, int to) {
        boolean negative = text[p] == '-';
        long value = 0;
        for (p += negative || text[p] == '+' ? 1 : 0; p < to; p++) {
            value = value * 10 + (text[p] - '0');
        }
        return negative ? -value : value;
    }

    /** The shortest decimal that is read as this double, of those the nearest; finite values only. */
    static BigDecimal shortest(double value) {
        BigDecimal found = new BigDecimal(NumberOutput.toString(value, true));
        // Java writes two digits at least: 4.9E-324, where 5E-324 would do.
        if (found.precision() == 2) {
            BigDecimal shorter = found.round(new MathContext(1));
            return shorter.doubleValue() == value ? shorter : found;
        }
        return found;
    }

    /** As it is published: a whole number below 2**63 in size as a Long; NaN and infinite values as null. */
    static Number published(double value) {
        if (Math.abs(value) < WHOLE_BELOW && value == Math.rint(value)) {
            return (long) value;
        }
        return Double.isFinite(value) ? (Number) value : null;
    }

    /** As Python's {@code repr} writes it. */
    static String asPython(double value) {
        return text(value, -4, 2);
    }

    /** As orjson writes it. */
    static String asJson(double value) {
        return text(value, -5, 1);
    }

    /**
     * With an exponent below the power of ten {@code small} and from {@link #LARGE} on, of so many digits at least.
     */
    private static String text(double value, int small, int exponentDigits) {
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal shortest = shortest(Math.abs(value)).stripTrailingZeros();
        String digits = shortest.unscaledValue().toString();
        int power = digits.length() - 1 - shortest.scale();
        String size = power < small || power >= LARGE
                ? withExponent(digits, power, exponentDigits)
                : plain(digits, power);
        return value < 0 ? "-" + size : size;
    }

    private static String withExponent(String digits, int power, int exponentDigits) {
        String exponent = Integer.toString(Math.abs(power));
        return (digits.length() == 1 ? digits : digits.charAt(0) + "." + digits.substring(1))
                + (power < 0 ? "e-" : "e+")
                + "0".repeat(Math.max(0, exponentDigits - exponent.length()))
                + exponent;
    }

    private static String plain(String digits, int power) {
        if (power < 0) {
            return "0." + "0".repeat(-power - 1) + digits;
        }
        int whole = power + 1;
        return whole >= digits.length()
                ? digits + "0".repeat(whole - digits.length()) + ".0"
                : digits.substring(0, whole) + "." + digits.substring(whole);
    }
}
