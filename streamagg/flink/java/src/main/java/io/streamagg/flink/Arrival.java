package io.streamagg.flink;

import io.streamagg.core.Row;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A record that was read, on its way to the clock of its partition.
 *
 * @param row null: it was rejected, and only moves the position
 * @param live its broker has stamped it close to its event time
 */
record Arrival(int partition, long offset, Row row, boolean live) {
    static final CodecType<Arrival> TYPE = new CodecType<>(Arrival.class, new Wire());

    private static final class Wire implements Codec<Arrival> {
        private static final long serialVersionUID = 1;
        private static final int HAS_ROW = 1;
        private static final int LIVE = 2;

        @Override
        public void write(Arrival arrival, DataOutput out) throws IOException {
            out.writeByte((arrival.row == null ? 0 : HAS_ROW) | (arrival.live ? LIVE : 0));
            if (arrival.row != null) {
                arrival.row.write(out);
            } else {
                out.writeInt(arrival.partition);
                out.writeLong(arrival.offset);
            }
        }

        @Override
        public Arrival read(DataInput in) throws IOException {
            int flags = in.readByte();
            boolean live = (flags & LIVE) != 0;
            if ((flags & HAS_ROW) == 0) {
                return new Arrival(in.readInt(), in.readLong(), null, live);
            }
            Row row = Row.read(in);
            return new Arrival(row.partition(), row.offset(), row, live);
        }
    }
}
