package io.streamagg.core;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/** Results as JSON records, byte for byte as streamagg/sinks/json_records.py writes them; times are in seconds. */
public final class JsonRecords {
    private static final int FORMAT_VERSION = 1;

    private final Windows windows;
    private final List<String> measures;
    private final List<String> groupBy;

    public JsonRecords(WindowSettings window, DecodeSettings decode) {
        windows = Windows.of(window);
        measures = decode.measures().stream().map(MeasureSettings::name).toList();
        groupBy = decode.groupBy();
    }

    /** The records of a window or period, in their order: of all records together, then of each group. */
    public void render(WindowTable table, Consumer<Published> out) {
        String key = table.period() == null
                ? seconds(table.startMs())
                : table.period().calendar() + " " + seconds(table.period().startMs());
        out.accept(new Published(bytes(key), all(table).finish()));
        for (Group group : table.groups()) {
            byte[] groupKey = new JsonWriter().raw(key).raw(" ").raw(group.text()).bytes();
            out.accept(new Published(groupKey, group(table, group).finish()));
        }
    }

    /**
     * A reference to a late record.
     *
     * @param topic the input
     * @param clockMs the partition's clock just before the record
     * @param closedEarly its window was closed while the partition was idle
     */
    public Published late(String topic, Row row, long clockMs, boolean closedEarly) {
        long window = windows.number(row.timeMs());
        JsonWriter value = new JsonWriter()
                .begin()
                .text("topic", topic)
                .number("partition", (long) row.partition())
                .number("offset", row.offset())
                .field("time", seconds(row.timeMs()))
                .field("window", seconds(windows.startMs(window)))
                .number("late_ms", clockMs - windows.startMs(window + 1))
                .flag("closed_early", closedEarly)
                .number("v", (long) FORMAT_VERSION);
        return new Published(bytes(row.partition() + ":" + row.offset()), value.finish());
    }

    private JsonWriter all(WindowTable table) {
        JsonWriter value = beginning(table);
        counts(value, table, table.all());
        if (table.dropped()) {
            value.flag("groups_dropped", true);
        } else if (table.found() != null) {
            value.number("groups", table.found());
        }
        return measures(value, table.all());
    }

    private JsonWriter group(WindowTable table, Group group) {
        JsonWriter value = beginning(table).name("group").raw("{");
        List<byte[]> parts = parts(group.text());
        for (int i = 0; i < groupBy.size(); i++) {
            value.raw(i == 0 ? "" : ",").string(groupBy.get(i)).raw(":").raw(parts.get(i));
        }
        value.raw("}");
        counts(value, table, group.counted());
        return measures(value, group.counted());
    }

    private static JsonWriter beginning(WindowTable table) {
        Period period = table.period();
        JsonWriter value = new JsonWriter().begin();
        if (period == null) {
            return value.field("ts", seconds(table.startMs()));
        }
        return value.field("ts", seconds(period.startMs()))
                .text("calendar", period.calendar())
                .field("end", seconds(period.endMs()));
    }

    private void counts(JsonWriter value, WindowTable table, Counted counted) {
        if (counted.users() != null) {
            value.number("cnt", counted.users());
        }
        value.field("granularity", seconds(windows.granularityMs()))
                .number("records", counted.records())
                .flag("partial", table.partial())
                .number("v", (long) FORMAT_VERSION);
    }

    private JsonWriter measures(JsonWriter value, Counted counted) {
        for (int i = 0; i < measures.size(); i++) {
            value.number(measures.get(i), counted.measured()[i]);
        }
        return value;
    }

    /** The elements of a compact array of strings and nulls. */
    private static List<byte[]> parts(byte[] array) {
        List<byte[]> found = new ArrayList<>();
        int last = array.length - 1;
        for (int p = 1; p < last; p++) {
            int end = Json.skipScalar(array, p, last);
            found.add(Arrays.copyOfRange(array, p, end));
            p = end;
        }
        return found;
    }

    /** Whole seconds as an integer. */
    static String seconds(long timeMs) {
        return timeMs % 1_000 == 0 ? Long.toString(timeMs / 1_000) : Numbers.asJson(timeMs / 1_000.0);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
