package io.streamagg.flink;

import io.streamagg.core.KafkaSettings;
import io.streamagg.core.SettingsException;
import java.util.Map;
import java.util.Properties;

/** Properties of Kafka's Java client, from settings as librdkafka names them. */
final class Clients {
    private static final String MECHANISM = "sasl.mechanism";
    private static final Map<String, String> RENAMED = Map.of(
            "sasl.mechanisms", MECHANISM,
            "ssl.ca.location", "ssl.truststore.location",
            "ssl.ca.pem", "ssl.truststore.certificates");
    private static final Map<String, String> LOGIN = Map.of(
            "PLAIN", "org.apache.kafka.common.security.plain.PlainLoginModule",
            "SCRAM-SHA-256", "org.apache.kafka.common.security.scram.ScramLoginModule",
            "SCRAM-SHA-512", "org.apache.kafka.common.security.scram.ScramLoginModule");

    private Clients() {}

    /** Of every client; throws SettingsException. */
    static Properties all(KafkaSettings kafka) {
        Properties properties = new Properties();
        kafka.client().forEach((name, value) -> properties.setProperty(RENAMED.getOrDefault(name, name), value));
        if (kafka.client().containsKey("ssl.ca.location") || kafka.client().containsKey("ssl.ca.pem")) {
            properties.setProperty("ssl.truststore.type", "PEM");
        }
        String user = (String) properties.remove("sasl.username");
        String password = (String) properties.remove("sasl.password");
        if (user != null) {
            properties.setProperty("sasl.jaas.config", login(properties.getProperty(MECHANISM), user, password));
        }
        return properties;
    }

    private static String login(String mechanism, String user, String password) {
        String module = mechanism == null ? null : LOGIN.get(mechanism);
        if (module == null) {
            throw new SettingsException("The job on Flink cannot log in with sasl.mechanism = " + mechanism + ".");
        }
        return module + " required username=" + quoted(user) + " password=" + quoted(password) + ";";
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
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
