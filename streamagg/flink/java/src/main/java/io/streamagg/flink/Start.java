package io.streamagg.flink;

import io.streamagg.core.Handed;
import io.streamagg.core.PartitionState;
import java.io.Serializable;

/**
 * Where the reading of a partition begins.
 *
 * @param position from there on records count
 * @param publishedThrough windows up to this one were published by somebody else; NONE: none was
 */
record Start(Handed.Partition position, long publishedThrough) implements Serializable {
    /** Of a partition that the topic gets while it is read. */
    static final Start BEGINNING = anew(0, false);

    /** {@code inside}: that is inside the log, what came before is unknown. */
    static Start anew(long offset, boolean inside) {
        return new Start(new Handed.Partition(offset, offset, PartitionState.begin(inside)), Status.NONE);
    }

    static Start at(Handed handed, int partition) {
        Long published = handed.publishedThrough();
        return new Start(handed.partitions().get(partition), published == null ? Status.NONE : published);
    }
}
