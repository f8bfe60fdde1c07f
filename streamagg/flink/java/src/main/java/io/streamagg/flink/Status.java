package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * How far the partitions of one subtask of the clocks are.
 *
 * @param number the first is 1; before it goes a mark with the same number to each counter
 * @param arrivedMs time of day when a record came last
 * @param ended nothing follows
 * @param partialThrough reading began inside the log, and windows up to this one are partial; NONE: none is
 */
record Status(int clock, long number, long arrivedMs, boolean ended, long partialThrough, List<Partition> partitions) {
    static final CodecType<Status> TYPE = new CodecType<>(Status.class, new Wire());
    static final long NONE = Long.MIN_VALUE;

    /**
     * A partition.
     *
     * @param clockMs NONE before the first record
     * @param greatestMs the greatest event time of a row that is not late; NONE: there was none
     */
    record Partition(boolean idle, long clockMs, long greatestMs) {}

    private static final class Wire implements Codec<Status> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Status status, DataOutput out) throws IOException {
            out.writeInt(status.clock);
            out.writeLong(status.number);
            out.writeLong(status.arrivedMs);
            out.writeBoolean(status.ended);
            out.writeLong(status.partialThrough);
            out.writeInt(status.partitions.size());
            for (Partition partition : status.partitions) {
                out.writeBoolean(partition.idle);
                out.writeLong(partition.clockMs);
                out.writeLong(partition.greatestMs);
            }
        }

        @Override
        public Status read(DataInput in) throws IOException {
            int clock = in.readInt();
            long number = in.readLong();
            long arrivedMs = in.readLong();
            boolean ended = in.readBoolean();
            long partialThrough = in.readLong();
            List<Partition> partitions = new ArrayList<>();
            for (int count = in.readInt(); count > 0; count--) {
                partitions.add(new Partition(in.readBoolean(), in.readLong(), in.readLong()));
            }
            return new Status(clock, number, arrivedMs, ended, partialThrough, partitions);
        }
    }
}
