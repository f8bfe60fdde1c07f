package io.streamagg.core;

import java.io.Serializable;

/**
 * Where reading begins.
 *
 * @param timeMs Kafka timestamp for TIME, else null
 */
public record StartAt(Kind kind, Long timeMs) implements Serializable {
    /** COMMITTED continues; all others start anew. */
    public enum Kind { COMMITTED, EARLIEST, LATEST, TIME }

    static StartAt of(Fields fields) {
        return new StartAt(
                Choice.of(Kind.class, "kind", fields.text("kind")), fields.integerOrNull("time_ms"));
    }
}
