package io.streamagg.flink;

import org.apache.flink.api.java.functions.KeySelector;

/** Where a row, or a mark, goes: rows of one user to the same counter. */
final class ShardKey implements KeySelector<Timely, Integer> {
    private static final long serialVersionUID = 1;

    private final boolean countsUsers;
    private final int[] keys;

    ShardKey(boolean countsUsers, int shards) {
        this.countsUsers = countsUsers;
        keys = KeyGroups.keys(shards);
    }

    @Override
    public Integer getKey(Timely timely) {
        if (timely instanceof Timely.Mark mark) {
            return mark.key();
        }
        return keys[CountOperator.shard(((Timely.Accepted) timely).row(), countsUsers, keys.length)];
    }
}
