package io.streamagg.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/** Columns of numbers as raw bytes, little-endian, as numpy has them. */
final class Columns {
    private Columns() {}

    static ByteBuffer read(Object bytes) {
        return ((ByteBuffer) bytes).duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    static long at(Object column, int place) {
        return read(column).getLong(place * Long.BYTES);
    }

    static double doubleAt(Object column, int place) {
        return read(column).getDouble(place * Double.BYTES);
    }

    static byte[] of(long[] values) {
        ByteBuffer bytes = allocate(values.length * Long.BYTES);
        for (long value : values) {
            bytes.putLong(value);
        }
        return bytes.array();
    }

    static <T> byte[] longs(List<T> rows, ToLongFunction<T> value) {
        return of(rows.stream().mapToLong(value).toArray());
    }

    static <T> byte[] doubles(List<T> rows, ToDoubleFunction<T> value) {
        return of(rows.stream().mapToLong(row -> Double.doubleToRawLongBits(value.applyAsDouble(row))).toArray());
    }

    static ByteBuffer allocate(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}
