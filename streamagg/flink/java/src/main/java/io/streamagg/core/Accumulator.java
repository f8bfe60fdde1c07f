package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * A measure of some rows. Whatever the order of rows and of merging, the result is the same.
 *
 * <p>One that was merged into another is not used any more.
 */
public interface Accumulator {
    void add(Row row);

    /** Adds what another one of the same measure has come to. */
    void merge(Accumulator other);

    /** A Long if it is a whole number below 2**63 in size, any other a Double; null: no value. */
    Number result();

    /** What {@link #read} reads. */
    void write(DataOutput out) throws IOException;

    /** Takes the place of what is here. */
    void read(DataInput in) throws IOException;

    /** Adds what a value of the state topic has at a place: see {@link PeriodGain}. */
    void take(Object gain, int place);

    /** What {@link #take} takes, of some of the same measure, by place. */
    Object gain(List<Accumulator> places);
}
