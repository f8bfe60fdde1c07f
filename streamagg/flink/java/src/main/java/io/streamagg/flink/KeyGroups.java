package io.streamagg.flink;

import org.apache.flink.runtime.state.KeyGroupRangeAssignment;

/**
 * Keys by the key group that Flink puts them into.
 *
 * <p>By their hashes, a few keys would lie anyhow: of four partitions three in one subtask, say. A key that is looked
 * for until its group is the wanted one spreads them evenly, at any parallelism.
 */
final class KeyGroups {
    /** A power of two, so that a key that overflows is still that of its partition. */
    private static final int MOST_PARTITIONS = 1 << 17;

    private KeyGroups() {}

    /** For each key group a key that falls into it: of the shards of users. */
    static int[] keys(int groups) {
        int[] keys = new int[groups];
        for (int group = 0; group < groups; group++) {
            keys[group] = key(group, 0, 1, groups);
        }
        return keys;
    }

    /** The key of a partition: those of 0, 1, 2 ... lie as far apart as possible. No two are equal. */
    static int ofPartition(int partition, int groups) {
        // Bits backwards (van der Corput): 0, 1/2, 1/4, 3/4 ... of the way.
        long spread = Integer.toUnsignedLong(Integer.reverse(partition));
        int group = (int) ((spread * groups) >>> 32);
        return key(group, partition, MOST_PARTITIONS, groups);
    }

    /** The partition whose key that is. */
    static int partitionOf(int key) {
        return key & (MOST_PARTITIONS - 1);
    }

    private static int key(int group, int first, int step, int groups) {
        int key = first;
        while (KeyGroupRangeAssignment.assignToKeyGroup(key, groups) != group) {
            key += step;
        }
        return key;
    }
}
