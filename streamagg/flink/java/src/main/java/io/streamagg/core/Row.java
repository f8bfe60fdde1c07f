package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.io.Serializable;

/**
 * An accepted record.
 *
 * @param user hash of the user, uint64; 0 where no users are counted
 * @param group text of the group as JSON, {@code ["DE",null]}; null where records have no groups
 * @param cells one for each of {@link ValueColumn#of}: bits of a double, NaN for no value; or a hash, 0 for none
 */
public record Row(int partition, long offset, long timeMs, long user, byte[] group, long[] cells)
        implements Serializable {
    private static final long[] NO_CELLS = {};

    /** What {@link #read} reads. */
    public void write(DataOutput out) throws IOException {
        out.writeInt(partition);
        out.writeLong(offset);
        out.writeLong(timeMs);
        out.writeLong(user);
        out.writeShort(group == null ? 0 : group.length);
        if (group != null) {
            out.write(group);
        }
        out.writeByte(cells.length);
        for (long cell : cells) {
            out.writeLong(cell);
        }
    }

    public static Row read(DataInput in) throws IOException {
        int partition = in.readInt();
        long offset = in.readLong();
        long timeMs = in.readLong();
        long user = in.readLong();
        byte[] group = null;
        int length = in.readUnsignedShort();
        if (length > 0) {
            group = new byte[length];
            in.readFully(group);
        }
        int count = in.readUnsignedByte();
        long[] cells = count == 0 ? NO_CELLS : new long[count];
        for (int i = 0; i < count; i++) {
            cells[i] = in.readLong();
        }
        return new Row(partition, offset, timeMs, user, group, cells);
    }
}
