package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.io.Serializable;

/** How a value travels between operators. */
interface Codec<T> extends Serializable {
    /** Writes what {@link #read} reads. */
    void write(T value, DataOutput out) throws IOException;

    T read(DataInput in) throws IOException;
}
