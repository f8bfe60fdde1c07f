package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class JobSettingsTest {
    @Test
    void whatPythonWritesIsRead() {
        Conformance.each(
                "jobs", 2, line -> assertEquals(line.texts("expect"), told(JobSettings.parse(line.text("job")))));
    }

    @Test
    void whatIsAbsentIsNamed() {
        String message = assertThrows(SettingsException.class, () -> JobSettings.parse("{}")).getMessage();
        assertEquals("The setting input is absent, or of another type than it has to be.", message);
        assertThrows(SettingsException.class, () -> JobSettings.parse("[1]"));
        assertThrows(SettingsException.class, () -> JobSettings.parse("{"));
    }

    @Test
    void secretsAreNotTold() {
        Conformance.each("jobs", 2, line -> {
            JobSettings job = JobSettings.parse(line.text("job"));
            assertFalse(job.toString().contains("hashSeed"));
            assertFalse(job.toString().contains("client"));
        });
    }

    private static List<String> told(JobSettings job) {
        List<String> told = new ArrayList<>();
        WindowSettings window = job.window();
        CeilingSettings ceiling = job.ceiling();
        DecodeSettings decode = job.decode();
        add(told, job.input(), job.output());
        add(told, window.granularityMs(), window.offsetMs(), window.maxLagMs(), window.maxJumpMs());
        add(told, window.emptyWindows(), window.timeZone(), window.zoneData());
        window.calendars().forEach(calendar -> told.add(calendar.name() + " " + calendar.lengthMs()));
        add(told, ceiling.maxUsers(), ceiling.above(), ceiling.maxGroups(), ceiling.aboveGroups(), ceiling.top());
        add(told, decode.timeField(), decode.userField(), decode.timeUnit(), decode.maxRecordBytes());
        add(told, decode.framing());
        told.addAll(decode.groupBy());
        told.add(Long.toUnsignedString(decode.hashSeed()));
        decode.measures().forEach(measure -> told.add(measure.name() + " " + word(measure.op()) + " " + measure.path()));
        add(told, job.kafka().bootstrapServers(), job.kafka().group());
        job.kafka().client().forEach((name, value) -> told.add(name + "=" + value));
        add(told, job.idleTimeoutMs(), job.start().kind(), job.start().timeMs());
        add(told, job.untilEnd(), job.keepOpen(), job.delivery(), job.deadLetter(), job.lateTopic(), job.stateTopic());
        return told;
    }

    private static void add(List<String> told, Object... values) {
        for (Object value : values) {
            told.add(word(value));
        }
    }

    private static String word(Object value) {
        return value instanceof Enum<?> word
                ? word.name().toLowerCase(Locale.ROOT).replace('_', '-')
                : String.valueOf(value);
    }
}
