package io.streamagg.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.java.functions.KeySelector;

/** Where a record goes that was read: to the clock of its partition. */
final class PartitionKey implements KeySelector<Arrival, Integer> {
    private static final long serialVersionUID = 1;

    private final int shards;
    /** A key is looked for, which takes longer than to decode a small record. */
    private final Map<Integer, Integer> keys = new HashMap<>();

    PartitionKey(int shards) {
        this.shards = shards;
    }

    @Override
    public Integer getKey(Arrival arrival) {
        return keys.computeIfAbsent(arrival.partition(), partition -> KeyGroups.ofPartition(partition, shards));
    }
}
