package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
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
        Conformance.each("decoding", 5_000, line -> check(line, wrong));
        assertEquals(List.of(), wrong.subList(0, Math.min(20, wrong.size())), () -> wrong.size() + " are wrong");
    }

    private void check(Fields line, List<String> wrong) {
        DecodeSettings settings = DecodeSettings.of(line.object("settings"));
        Decoder decoder = decoders.computeIfAbsent(settings, Decoder::new);
        String payload = line.textOrNull("payload");
        byte[] bytes = payload == null ? null : Base64.getDecoder().decode(payload);
        Row row = decoder.decode(bytes, 3, 5);
        String found = row == null ? decoder.rejection().reason() : told(row, decoder);
        String expected = told(line.object("expect"));
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
        return row.timeMs() + " " + row.user() + " " + group + " " + Arrays.toString(row.cells()) + " " + ignored;
    }

    private static String told(Fields expect) {
        if (expect.has("reason")) {
            return expect.text("reason");
        }
        return expect.integer("time_ms") + " " + expect.integer("user") + " " + expect.textOrNull("group") + " "
                + Arrays.toString(Conformance.cells(expect.values("cells"))) + " " + expect.texts("ignored");
    }
}
