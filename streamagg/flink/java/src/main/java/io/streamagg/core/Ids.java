package io.streamagg.core;

import com.dynatrace.hash4j.hashing.Hasher64;
import com.dynatrace.hash4j.hashing.Hashing;

/** The hash of what is accepted as a user: text of 1 to 512 bytes, or an integer. */
final class Ids {
    private static final int MAX_BYTES = 512;

    private final Hasher64 hasher;

    /** Seed: uint64. */
    Ids(long seed) {
        hasher = Hashing.xxh3_64(seed);
    }

    static boolean isId(Text value) {
        return (value.quoted || value.isInteger()) && value.length() > 0 && value.length() <= MAX_BYTES;
    }

    /** XXH3, 64 bits, of a value that is an id. */
    long hash(Text value) {
        // -0 is 0.
        int from = value.isNegativeZero() ? value.from + 1 : value.from;
        return hasher.hashBytesToLong(value.bytes, from, value.to - from);
    }
}
