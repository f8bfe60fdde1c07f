package io.streamagg.core;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.IntConsumer;

/** Puts the text of a group together: a compact array of JSON, {@code ["DE",null]}, as orjson writes it. */
final class GroupText {
    private static final int MAX_BYTES = 256;
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};

    /** Six for each byte of a value that becomes an escape; the quotes and a comma or bracket. */
    private final byte[] out;
    private int size;

    GroupText(int fields) {
        out = new byte[fields * (6 * MAX_BYTES + 3) + 1];
    }

    void begin() {
        size = 0;
    }

    /** The array so far. */
    byte[] finish() {
        put(']');
        return Arrays.copyOf(out, size);
    }

    void addNull() {
        put(size == 0 ? '[' : ',');
        put(NULL, 0, NULL.length);
    }

    /** False if the value cannot name a group. */
    boolean add(Text value) {
        if (value.isNull()) {
            addNull();
            return true;
        }
        put(size == 0 ? '[' : ',');
        put('"');
        boolean added = value.quoted ? addString(value) : addScalar(value);
        put('"');
        return added;
    }

    private boolean addString(Text value) {
        if (value.length() > MAX_BYTES) {
            return false;
        }
        IntConsumer into = this::put;
        for (int p = value.from; p < value.to; p++) {
            Escapes.put(value.bytes[p], into);
        }
        return true;
    }

    private boolean addScalar(Text value) {
        byte first = value.bytes[value.from];
        if (first == '{' || first == '[') {
            return false;
        }
        if (!value.isNumber() || value.isInteger()) {
            int from = value.isNegativeZero() ? value.from + 1 : value.from;
            return put(value.bytes, from, value.to - from);
        }
        double number = Numbers.parse(value.bytes, value.from, value.to);
        if (!Double.isFinite(number)) {
            return false;
        }
        byte[] text = Numbers.asPython(number).getBytes(StandardCharsets.US_ASCII);
        return put(text, 0, text.length);
    }

    private void put(int letter) {
        out[size++] = (byte) letter;
    }

    /** False if it is too long. */
    private boolean put(byte[] text, int from, int length) {
        if (length > MAX_BYTES) {
            return false;
        }
        System.arraycopy(text, from, out, size, length);
        size += length;
        return true;
    }
}
