package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/**
 * Everything that decides what the records of a partition from here on mean.
 *
 * @param clockMs greatest event time that has moved the clock; null before the first
 * @param agreement records close behind the clock less those further behind; from 0 down, the clock stands
 * @param setAside records set aside, in offset order
 * @param beganInside reading began inside the log: what came before is unknown
 * @param partialThrough if it did, the window of the first record accepted; else null
 */
public record PartitionState(
        Long clockMs, int agreement, List<SetAside> setAside, boolean beganInside, Long partialThrough)
        implements Serializable {

    /**
     * A record out of reach of the clock, waiting for the votes of those behind it.
     *
     * @param lead votes for it, less those against it
     */
    public record SetAside(Row row, int lead) implements Serializable {}

    /** Before the first record. */
    public static PartitionState begin(boolean inside) {
        return new PartitionState(null, PartitionClock.LEAD, List.of(), inside, null);
    }

    /** What {@link #read} reads. */
    public void write(DataOutput out) throws IOException {
        writeLong(clockMs, out);
        out.writeByte(agreement);
        out.writeBoolean(beganInside);
        writeLong(partialThrough, out);
        out.writeByte(setAside.size());
        for (SetAside waiting : setAside) {
            waiting.row.write(out);
            out.writeByte(waiting.lead);
        }
    }

    public static PartitionState read(DataInput in) throws IOException {
        Long clockMs = readLong(in);
        int agreement = in.readByte();
        boolean beganInside = in.readBoolean();
        Long partialThrough = readLong(in);
        List<SetAside> setAside = new ArrayList<>();
        for (int left = in.readUnsignedByte(); left > 0; left--) {
            setAside.add(new SetAside(Row.read(in), in.readByte()));
        }
        return new PartitionState(clockMs, agreement, List.copyOf(setAside), beganInside, partialThrough);
    }

    private static void writeLong(Long value, DataOutput out) throws IOException {
        out.writeBoolean(value != null);
        if (value != null) {
            out.writeLong(value);
        }
    }

    private static Long readLong(DataInput in) throws IOException {
        return in.readBoolean() ? (Long) in.readLong() : null;
    }
}
