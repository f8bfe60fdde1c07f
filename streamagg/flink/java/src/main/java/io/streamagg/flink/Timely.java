package io.streamagg.flink;

import io.streamagg.core.Row;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** From the clocks to the counters. */
sealed interface Timely {
    CodecType<Timely> TYPE = new CodecType<>(Timely.class, new Wire());

    /**
     * A row that is not late for its partition.
     *
     * @param clockMs the partition's clock just before it
     */
    record Accepted(Row row, long clockMs) implements Timely {}

    /**
     * All rows before it have come.
     *
     * @param key where it goes
     * @param clock the subtask that has sent it
     * @param number of the status that this subtask sends next
     */
    record Mark(int key, int clock, long number) implements Timely {}

    /** How they travel. */
    final class Wire implements Codec<Timely> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Timely timely, DataOutput out) throws IOException {
            if (timely instanceof Accepted accepted) {
                out.writeBoolean(true);
                out.writeLong(accepted.clockMs);
                accepted.row.write(out);
            } else if (timely instanceof Mark mark) {
                out.writeBoolean(false);
                out.writeInt(mark.key);
                out.writeInt(mark.clock);
                out.writeLong(mark.number);
            }
        }

        @Override
        public Timely read(DataInput in) throws IOException {
            if (in.readBoolean()) {
                long clockMs = in.readLong();
                return new Accepted(Row.read(in), clockMs);
            }
            return new Mark(in.readInt(), in.readInt(), in.readLong());
        }
    }
}
