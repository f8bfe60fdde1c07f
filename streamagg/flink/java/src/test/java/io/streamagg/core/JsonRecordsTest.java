package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class JsonRecordsTest {
    private static final int SHARDS = 3;

    @Test
    void windowsAreToldByteForByteAsInPython() {
        Random chance = new Random(18);
        Conformance.each("windows", 1_000, line -> check(line, chance));
    }

    @Test
    void lateRecordsAreToldByteForByteAsInPython() {
        Conformance.each("late", 100, line -> {
            List<Object> place = line.values("row");
            Row row = new Row(
                    (int) Fields.number(place.get(0)), Fields.number(place.get(1)), Fields.number(place.get(2)), 0, null,
                    new long[0]);
            DecodeSettings decode = new DecodeSettings(
                    "ts", "uid", DecodeSettings.Unit.S, 1, DecodeSettings.Framing.AUTO, List.of(), List.of(), 0);
            JsonRecords records = new JsonRecords(WindowSettings.of(line.object("window")), decode);
            Published late =
                    records.late("visits\"é", row, line.integer("clock_ms"), line.flag("closed_early"));
            assertEquals(line.values("expect").toString(), List.of(told(late)).toString());
        });
    }

    /** The rows in any order, in any parts, in shards of users that are sealed and written down. */
    private static void check(Fields line, Random chance) {
        DecodeSettings decode = DecodeSettings.of(line.object("decode"));
        List<Row> rows = new ArrayList<>(line.objects("rows", fields -> row(fields, decode)));
        Collections.shuffle(rows, chance);
        Map<String, Tally> groups = new LinkedHashMap<>();
        Tally all = new Tally(decode);
        for (int shard = 0; shard < SHARDS; shard++) {
            int here = shard;
            List<Row> part = rows.stream().filter(row -> Long.remainderUnsigned(row.user(), SHARDS) == here).toList();
            all.merge(sealed(part, decode, chance));
            Map<String, List<Row>> byGroup = new LinkedHashMap<>();
            part.forEach(row -> byGroup.computeIfAbsent(text(row.group()), text -> new ArrayList<>()).add(row));
            byGroup.forEach((text, some) ->
                    groups.computeIfAbsent(text, any -> new Tally(decode)).merge(sealed(some, decode, chance)));
        }
        List<List<String>> found = new ArrayList<>();
        WindowSettings window = WindowSettings.of(line.object("window"));
        new JsonRecords(window, decode)
                .render(table(line, decode, window, all, groups), published -> found.add(told(published)));
        assertEquals(line.values("expect").toString(), found.toString());
    }

    private static WindowTable table(
            Fields line, DecodeSettings decode, WindowSettings window, Tally all, Map<String, Tally> groups) {
        CeilingSettings ceiling = CeilingSettings.of(line.object("ceiling"));
        long startMs = Windows.of(window).startMs(line.integer("number"));
        boolean partial = line.flag("partial");
        Period period = line.isNull("period") ? null : period(line.object("period"));
        Counted counted = Counted.of(all);
        if (!decode.grouped()) {
            return WindowTable.plain(startMs, partial, counted, period);
        }
        if (groups.size() > ceiling.maxGroups()) {
            return WindowTable.totals(startMs, partial, counted, period);
        }
        List<Group> told = new ArrayList<>();
        groups.forEach((text, tally) ->
                told.add(new Group(text.getBytes(StandardCharsets.UTF_8), Counted.of(tally))));
        return WindowTable.grouped(startMs, partial, counted, told, ceiling.top(), period);
    }

    private static Period period(Fields fields) {
        return new Period(fields.text("calendar"), fields.integer("start_ms"), fields.integer("end_ms"));
    }

    private static Tally sealed(List<Row> rows, DecodeSettings decode, Random chance) {
        Tally whole = new Tally(decode);
        int cut = chance.nextInt(rows.size() + 1);
        for (List<Row> part : List.of(rows.subList(0, cut), rows.subList(cut, rows.size()))) {
            Tally tally = new Tally(decode);
            part.forEach(tally::add);
            whole.merge(copy(tally, decode));
        }
        whole.seal();
        return copy(whole, decode);
    }

    private static Tally copy(Tally tally, DecodeSettings decode) {
        return Conformance.read(Conformance.written(tally::write), in -> Tally.read(in, decode));
    }

    private static Row row(Fields fields, DecodeSettings decode) {
        List<Object> place = fields.values("place");
        String group = fields.textOrNull("group");
        return new Row(
                (int) Fields.number(place.get(0)),
                Fields.number(place.get(1)),
                Fields.number(place.get(2)),
                decode.countsUsers() ? fields.integer("user") : 0,
                group == null ? null : group.getBytes(StandardCharsets.UTF_8),
                Conformance.cells(fields.values("cells")));
    }

    private static List<String> told(Published published) {
        return List.of(text(published.key()), text(published.value()));
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "" : new String(bytes, StandardCharsets.UTF_8);
    }
}
