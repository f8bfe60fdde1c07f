package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class NumbersTest {
    @Test
    void doublesAreWrittenAndReadAsInPython() {
        Conformance.each("numbers", 1_000, NumbersTest::check);
    }

    private static void check(Fields line) {
        List<Object> bits = line.values("bits");
        for (int i = 0; i < bits.size(); i++) {
            double value = Double.longBitsToDouble(Fields.number(bits.get(i)));
            String json = line.texts("json").get(i);
            assertEquals(json, Numbers.asJson(value));
            assertEquals(line.texts("python").get(i), Numbers.asPython(value));
            assertEquals(value, parsed(json));
            assertEquals(value, parsed(line.texts("python").get(i)));
            assertEquals(value, parsed(line.texts("long").get(i)));
        }
    }

    private static double parsed(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        return Numbers.parse(bytes, 0, bytes.length);
    }
}
