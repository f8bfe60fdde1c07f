package io.streamagg.flink;

import io.streamagg.core.KafkaSettings;
import java.util.Properties;

/** Properties of Kafka's Java clients. */
final class Clients {
    private Clients() {}

    /** Of every client. */
    static Properties all(KafkaSettings kafka) {
        Properties properties = new Properties();
        kafka.client().forEach(properties::setProperty);
        return properties;
    }

    /** Of a consumer that reads what is committed, and no other record than it is told to. */
    static Properties consumer(KafkaSettings kafka) {
        Properties properties = all(kafka);
        properties.setProperty("bootstrap.servers", kafka.bootstrapServers());
        properties.setProperty("group.id", kafka.group());
        properties.setProperty("isolation.level", "read_committed");
        properties.setProperty("enable.auto.commit", "false");
        properties.setProperty("auto.offset.reset", "none");
        properties.setProperty("allow.auto.create.topics", "false");
        return properties;
    }
}
