package io.streamagg.core;

import java.io.Serializable;

/**
 * A run: {@code RunSettings} of streamagg/model/settings.py, as {@code msgspec.json.encode} writes them. What a job
 * has no use for is left out.
 *
 * @param deadLetter topic of rejected records, or null
 * @param lateTopic topic of references to late records, or null
 * @param stateTopic topic of what open periods hold, or null
 * @param handed where it takes over from a daemon, or null
 * @param transactionMs how long a transaction may be open
 * @param session null, or the word that values in the state topic go under of a job that only hands back
 */
public record JobSettings(
        String input,
        String output,
        WindowSettings window,
        CeilingSettings ceiling,
        DecodeSettings decode,
        KafkaSettings kafka,
        long idleTimeoutMs,
        StartAt start,
        boolean untilEnd,
        boolean keepOpen,
        Delivery delivery,
        String deadLetter,
        String lateTopic,
        String stateTopic,
        Handed handed,
        long transactionMs,
        String session)
        implements Serializable {

    /** What brokers allow by default. */
    private static final long DEFAULT_TRANSACTION_MS = 900_000;

    /** Whether a record may be published twice. */
    public enum Delivery { EXACTLY_ONCE, AT_LEAST_ONCE }

    /** Throws SettingsException. */
    public static JobSettings parse(String json) {
        Fields fields = Fields.parse(json);
        return new JobSettings(
                fields.text("input"),
                fields.text("output"),
                WindowSettings.of(fields.object("window")),
                CeilingSettings.of(fields.object("ceiling")),
                DecodeSettings.of(fields.object("decode")),
                KafkaSettings.of(fields.object("kafka")),
                fields.object("pipeline").integer("idle_timeout_ms"),
                StartAt.of(fields.object("start")),
                fields.flag("until_end"),
                fields.flag("keep_open"),
                Choice.of(Delivery.class, "delivery", fields.text("delivery")),
                fields.textOrNull("dead_letter"),
                fields.textOrNull("late_topic"),
                fields.textOrNull("state_topic"),
                fields.has("handed") && !fields.isNull("handed") ? Handed.of(fields.object("handed")) : null,
                fields.has("transaction_ms") ? fields.integer("transaction_ms") : DEFAULT_TRANSACTION_MS,
                fields.has("session") ? fields.textOrNull("session") : null);
    }

    /** It reads nothing, and only says where a daemon is to go on. */
    public boolean handBack() {
        return session != null;
    }
}
