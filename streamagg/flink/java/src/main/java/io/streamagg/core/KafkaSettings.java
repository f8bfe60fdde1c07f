package io.streamagg.core;

import java.io.Serializable;
import java.util.Map;

/**
 * How to reach Kafka.
 *
 * @param client settings as the Java client names them
 */
public record KafkaSettings(String bootstrapServers, Map<String, String> client, String group)
        implements Serializable {
    static KafkaSettings of(Fields fields) {
        return new KafkaSettings(
                fields.text("bootstrap_servers"), Map.copyOf(fields.textsByName("client")), fields.text("group"));
    }

    /** Without the client's settings, because passwords are among them. */
    @Override
    public String toString() {
        return "KafkaSettings[bootstrapServers=" + bootstrapServers + ", group=" + group + "]";
    }
}
