package io.streamagg.flink;

import io.streamagg.core.PartitionState;
import java.io.Serializable;

/**
 * Where the reading of a partition begins.
 *
 * @param inside that is inside the log: what came before is unknown
 */
record Start(long offset, boolean inside) implements Serializable {
    /** Of a partition that the topic gets while it is read. */
    static final Start BEGINNING = new Start(0, false);

    PartitionState state() {
        return PartitionState.begin(inside);
    }
}
