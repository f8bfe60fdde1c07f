package io.streamagg.core;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/**
 * What the state topic says of itself, under the key {@code head}: see streamagg/core/period_state.py.
 *
 * @param throughMs the end of the last window that is in it
 * @param values by period, {@code day 1774738800000}: how many values each session has written
 */
public record StateHead(long throughMs, Map<String, Map<String, Long>> values) {
    public static final String KEY = "head";
    private static final long VERSION = 1;

    /** Throws SettingsException. */
    public static StateHead parse(byte[] json) {
        Fields fields = Fields.parse(new String(json, StandardCharsets.UTF_8));
        if (fields.integer("version") != VERSION) {
            throw new SettingsException("Another version of streamagg wrote the state topic: use that one.");
        }
        Map<String, Map<String, Long>> values = new TreeMap<>();
        Fields periods = fields.object("periods");
        for (String name : periods.names()) {
            Map<String, Long> sessions = new TreeMap<>();
            periods.object(name).textsByName("values").forEach((one, count) -> sessions.put(one, Long.valueOf(count)));
            values.put(name, sessions);
        }
        return new StateHead(fields.integer("through_ms"), values);
    }
}
