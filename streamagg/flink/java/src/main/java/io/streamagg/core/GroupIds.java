package io.streamagg.core;

import com.dynatrace.hash4j.hashing.Hasher64;
import com.dynatrace.hash4j.hashing.Hashing;

/** What streamagg has in place of the texts of groups: two hashes of each (streamagg/model/groups.py). */
final class GroupIds {
    private static final long CHECK = 0x9E3779B97F4A7C15L;

    private final Hasher64 ids;
    private final Hasher64 checks;

    private GroupIds(long seed) {
        ids = Hashing.xxh3_64(seed);
        checks = Hashing.xxh3_64(seed ^ CHECK);
    }

    static GroupIds of(DecodeSettings decode) {
        return new GroupIds(decode.hashSeed());
    }

    long id(byte[] text) {
        return ids.hashBytesToLong(text);
    }

    long check(byte[] text) {
        return checks.hashBytesToLong(text);
    }
}
