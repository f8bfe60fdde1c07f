package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DecoderTest {
    private final Map<DecodeSettings, Decoder> decoders = new HashMap<>();

    @Test
    void everyRecordComesToWhatItDoesInPython() {
        List<String> wrong = new ArrayList<>();
        long count = Conformance.lines("decoding").peek(line -> check(line, wrong)).filter(line -> true).count();
        assertEquals(List.of(), wrong.subList(0, Math.min(20, wrong.size())), () -> wrong.size() + " are wrong");
        assertTrue(count > 5_000);
    }

    private void check(Fields line, List<String> wrong) {
        DecodeSettings settings = DecodeSettings.of(line.object("settings"));
        Decoder decoder = decoders.computeIfAbsent(settings, Decoder::new);
        String payload = line.textOrNull("payload");
        byte[] bytes = payload == null ? null : Base64.getDecoder().decode(payload);
        Row row = decoder.decode(bytes, 3, 5);
        String found = row == null ? decoder.rejection().reason() : told(row, decoder);
        String expected = told(line.object("expect"), decoder.columns());
        if (!found.equals(expected)) {
            String text = bytes == null ? "null" : new String(bytes, StandardCharsets.ISO_8859_1);
            wrong.add(line.text("name") + ": " + found + " and not " + expected + " of "
                    + text.substring(0, Math.min(200, text.length())));
        }
        if (row != null) {
            Row copy = Conformance.read(Conformance.written(row::write), Row::read);
            assertEquals(told(row, decoder), told(copy, decoder));
        }
    }

    private static String told(Row row, Decoder decoder) {
        List<String> ignored = new ArrayList<>();
        for (int i = 0; i < decoder.columns().size(); i++) {
            if ((decoder.ignored() >> i & 1) != 0) {
                ignored.add(decoder.columns().get(i).name());
            }
        }
        String group = row.group() == null ? null : new String(row.group(), StandardCharsets.UTF_8);
        List<Long> cells = new ArrayList<>();
        for (long cell : row.cells()) {
            cells.add(cell);
        }
        return row.timeMs() + " " + row.user() + " " + group + " " + cells + " " + ignored;
    }

    private static String told(Fields expect, List<ValueColumn> columns) {
        if (expect.has("reason")) {
            return expect.text("reason");
        }
        List<Long> cells = new ArrayList<>();
        for (Object cell : expect.values("cells")) {
            cells.add(cell instanceof BigInteger hash ? hash.longValue() : bits((String) cell));
        }
        return expect.integer("time_ms") + " " + expect.integer("user") + " " + expect.textOrNull("group") + " "
                + cells + " " + expect.texts("ignored");
    }

    private static long bits(String hexadecimal) {
        double value = hexadecimal.equals("nan") ? Double.NaN : Double.parseDouble(hexadecimal);
        return Double.doubleToLongBits(value);
    }
}
