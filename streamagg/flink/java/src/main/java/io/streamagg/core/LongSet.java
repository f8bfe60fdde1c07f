package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/** A set of 64-bit hashes: a table with open addressing, at most two thirds full. */
public final class LongSet {
    private static final int SMALLEST = 4;
    /** Never written to. */
    private static final long[] NOTHING = {0};

    /** 0: nothing is there. */
    private long[] table = NOTHING;
    private boolean hasZero;
    private int filled;

    public int size() {
        return filled + (hasZero ? 1 : 0);
    }

    /** Whether the value was not there. */
    public boolean add(long value) {
        if (value == 0) {
            boolean fresh = !hasZero;
            hasZero = true;
            return fresh;
        }
        int at = place(value);
        if (table[at] == value) {
            return false;
        }
        if (isTooSmall(table.length, filled + 1)) {
            reserve(filled + 1);
            at = place(value);
        }
        table[at] = value;
        filled++;
        return true;
    }

    public void addAll(LongSet other) {
        // Values in the order of a table would heap up in a part of one that has to grow for them.
        reserve(filled + other.filled);
        hasZero |= other.hasZero;
        for (long value : other.table) {
            if (value != 0) {
                add(value);
            }
        }
    }

    /** All values, ascending as int64. */
    public long[] values() {
        long[] found = new long[size()];
        int at = hasZero ? 1 : 0;
        for (long value : table) {
            if (value != 0) {
                found[at++] = value;
            }
        }
        Arrays.sort(found);
        return found;
    }

    /** Where a value is, or would be. */
    private int place(long value) {
        int mask = table.length - 1;
        // Users are put into shards by some of their bits: those must not decide the place.
        int at = (int) (value * 0x9E3779B97F4A7C15L >>> 32) & mask;
        while (table[at] != 0 && table[at] != value) {
            at = at + 1 & mask;
        }
        return at;
    }

    private static boolean isTooSmall(int length, int values) {
        return values * 3L > length * 2L;
    }

    private void reserve(int values) {
        int length = table.length;
        while (isTooSmall(length, values)) {
            length = Math.max(SMALLEST, Math.multiplyExact(length, 2));
        }
        if (length > table.length) {
            resize(length);
        }
    }

    private void resize(int length) {
        long[] before = table;
        table = new long[length];
        for (long value : before) {
            if (value != 0) {
                table[place(value)] = value;
            }
        }
    }

    /** What {@link #read} reads; the same for the same values. */
    public void write(DataOutput out) throws IOException {
        out.writeInt(size());
        for (long value : values()) {
            out.writeLong(value);
        }
    }

    public static LongSet read(DataInput in) throws IOException {
        LongSet set = new LongSet();
        int size = in.readInt();
        set.reserve(size);
        for (int left = size; left > 0; left--) {
            set.add(in.readLong());
        }
        return set;
    }
}
