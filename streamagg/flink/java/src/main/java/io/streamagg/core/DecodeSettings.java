package io.streamagg.core;

import java.io.Serializable;
import java.util.List;

/**
 * What is taken of a payload: {@code DecodeSettings} of streamagg/model/settings.py, under the same names.
 *
 * @param userField null: no users are counted
 * @param hashSeed uint64
 */
public record DecodeSettings(
        String timeField,
        String userField,
        Unit timeUnit,
        int maxRecordBytes,
        Framing framing,
        List<String> groupBy,
        List<MeasureSettings> measures,
        long hashSeed)
        implements Serializable {

    /** Of event time. */
    public enum Unit { S, MS, US, NS, ISO8601 }

    /** The five bytes of a schema registry before a document. */
    public enum Framing { AUTO, NONE, REGISTRY }

    /** Parses what {@code msgspec.json.encode} writes of a DecodeSettings; throws SettingsException. */
    public static DecodeSettings parse(String json) {
        return of(Fields.parse(json));
    }

    static DecodeSettings of(Fields fields) {
        return new DecodeSettings(
                fields.text("time_field"),
                fields.textOrNull("user_field"),
                Choice.of(Unit.class, "time_unit", fields.text("time_unit")),
                Math.toIntExact(fields.integer("max_record_bytes")),
                Choice.of(Framing.class, "framing", fields.text("framing")),
                fields.texts("group_by"),
                fields.objects("measures", MeasureSettings::of),
                fields.integer("hash_seed"));
    }

    /** Without the seed, which is a secret. */
    @Override
    public String toString() {
        return "DecodeSettings[timeField=" + timeField + ", userField=" + userField + ", groupBy=" + groupBy
                + ", measures=" + measures + "]";
    }

    /** Users are counted. */
    public boolean countsUsers() {
        return userField != null;
    }

    /** Records have groups. */
    public boolean grouped() {
        return !groupBy.isEmpty();
    }
}
