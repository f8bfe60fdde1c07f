package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A checkpoint of streamagg run on its way to a job or back: {@code streamagg/flink/moving.py} reads and writes it.
 *
 * @param publishedThrough the last window that is published; null: none is
 */
public record Handed(Long publishedThrough, Map<Integer, Partition> partitions, List<Period> periods)
        implements Serializable {
    /** The group of a row of which nothing but its place and time is known: no text of a group. */
    private static final byte[] UNREAD = {0};

    private static final long[] NO_CELLS = {};

    /**
     * Where reading goes on.
     *
     * @param readBefore offsets below it have been read, and what is late of them has been told
     * @param state at the offset
     */
    public record Partition(long offset, long readBefore, PartitionState state) implements Serializable {
        /** Where reading has to begin for the rows of the records that are set aside. */
        public long readFrom() {
            return state.setAside().isEmpty() ? offset : state.setAside().get(0).row().offset();
        }

        /** What {@link #read} reads. */
        public void write(DataOutput out) throws IOException {
            out.writeLong(offset);
            out.writeLong(readBefore);
            state.write(out);
        }

        public static Partition read(DataInput in) throws IOException {
            return new Partition(in.readLong(), in.readLong(), PartitionState.read(in));
        }
    }

    /**
     * An open period, as the head of the state topic tells of it.
     *
     * @param values how many records of it each session has written
     */
    public record Period(int calendar, long startMs, long users, Map<String, Long> values) implements Serializable {}

    static Handed of(Fields fields) {
        Map<Integer, Partition> partitions = new TreeMap<>();
        for (Fields one : fields.objects("partitions", one -> one)) {
            int number = Math.toIntExact(one.integer("partition"));
            List<PartitionState.SetAside> aside = one.objects("set_aside", record -> setAside(number, record));
            PartitionState state = new PartitionState(
                    one.integerOrNull("clock_ms"),
                    Math.toIntExact(one.integer("agreement")),
                    aside,
                    one.flag("began_inside"),
                    one.integerOrNull("partial_through"));
            partitions.put(number, new Partition(one.integer("offset"), one.integer("read_before"), state));
        }
        return new Handed(fields.integerOrNull("published_through"), partitions, List.of());
    }

    private static PartitionState.SetAside setAside(int partition, Fields record) {
        Row row = new Row(partition, record.integer("offset"), record.integer("time_ms"), 0, UNREAD, NO_CELLS);
        return new PartitionState.SetAside(row, Math.toIntExact(record.integer("lead")));
    }

    /** Whether a row has yet to be read again. */
    public static boolean isUnread(Row row) {
        return row.group() != null && row.group().length == UNREAD.length && row.group()[0] == UNREAD[0];
    }

    /** Of what {@link #of} reads, with the rows of what is set aside as streamagg packs them, and with the periods. */
    public String toJson(DecodeSettings decode) {
        List<String> all = new ArrayList<>();
        partitions.forEach((number, partition) -> all.add(json(number, partition, decode)));
        List<String> open = periods.stream().map(Handed::json).toList();
        JsonWriter out = new JsonWriter().begin().number("published_through", publishedThrough);
        return text(out.field("partitions", all.toString()).field("periods", open.toString()));
    }

    private static String json(int number, Partition partition, DecodeSettings decode) {
        PartitionState state = partition.state();
        List<String> aside = state.setAside().stream().map(one -> json(one, decode)).toList();
        return text(new JsonWriter()
                .begin()
                .number("partition", number)
                .number("offset", partition.offset())
                .number("read_before", partition.readBefore())
                .number("clock_ms", state.clockMs())
                .number("agreement", state.agreement())
                .flag("began_inside", state.beganInside())
                .number("partial_through", state.partialThrough())
                .field("set_aside", aside.toString()));
    }

    private static String json(PartitionState.SetAside aside, DecodeSettings decode) {
        return text(new JsonWriter()
                .begin()
                .number("offset", aside.row().offset())
                .number("time_ms", aside.row().timeMs())
                .text("row", Base64.getEncoder().encodeToString(packed(aside.row(), decode)))
                .number("lead", aside.lead()));
    }

    private static String json(Period period) {
        JsonWriter values = new JsonWriter().begin();
        period.values().forEach(values::number);
        return text(new JsonWriter()
                .begin()
                .number("calendar", period.calendar())
                .number("start_ms", period.startMs())
                .number("users", period.users())
                .field("values", text(values)));
    }

    private static String text(JsonWriter object) {
        return new String(object.finish(), StandardCharsets.UTF_8);
    }

    /** What a row carries, by the schema of streamagg/model/columns.py. */
    private static byte[] packed(Row row, DecodeSettings decode) {
        ByteBuffer bytes = ByteBuffer.allocate((2 + row.cells().length) * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        if (decode.countsUsers()) {
            bytes.putLong(row.user());
        }
        if (decode.grouped()) {
            bytes.putLong(GroupIds.of(decode).id(row.group()));
        }
        for (long cell : row.cells()) {
            bytes.putLong(cell);
        }
        byte[] packed = new byte[bytes.position()];
        bytes.flip().get(packed);
        return packed;
    }
}
