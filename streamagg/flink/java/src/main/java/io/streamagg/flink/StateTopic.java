package io.streamagg.flink;

import io.streamagg.core.SettingsException;
import io.streamagg.core.StateHead;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads what a daemon has left of open periods in its state topic. */
final class StateTopic {
    private static final Duration SLICE = Duration.ofMillis(500);
    private static final long PATIENCE_MS = 60_000;

    /** One value of a period. */
    interface Values {
        void take(String period, String session, byte[] value);
    }

    private final TopicPartition partition;
    private final Properties properties;

    /** {@code properties}: of a consumer that reads what is committed. */
    StateTopic(String topic, Properties properties) {
        partition = new TopicPartition(topic, 0);
        this.properties = properties;
    }

    /**
     * All that belongs to open periods, in the order in which it was written; throws SettingsException if some is gone,
     * or if it is not of the moment when windows were published up to {@code untilMs}.
     */
    void read(long untilMs, Values values) {
        StateHead head = head();
        if (head == null || head.throughMs() != untilMs) {
            throw new SettingsException("The state topic and the committed checkpoint are of different moments: give the"
                    + " counts back with --hand-back, and start and stop streamagg run once more.");
        }
        Map<String, Map<String, Long>> left = new HashMap<>();
        head.values().forEach((period, sessions) -> left.put(period, new HashMap<>(sessions)));
        scan((key, value) -> {
            String[] words = key.split(" ");
            Map<String, Long> sessions = words.length == 4 ? left.get(words[0] + " " + words[1]) : null;
            if (sessions != null && sessions.containsKey(words[2])) {
                sessions.merge(words[2], -1L, Long::sum);
                values.take(words[0] + " " + words[1], words[2], value);
            }
        });
        if (left.values().stream().anyMatch(sessions -> sessions.values().stream().anyMatch(count -> count != 0))) {
            throw new SettingsException("The state topic has lost records of an open period: deleted, expired or"
                    + " compacted away. Start anew with --from earliest.");
        }
    }

    private StateHead head() {
        StateHead[] found = {null};
        scan((key, value) -> found[0] = key.equals(StateHead.KEY) ? StateHead.parse(value) : found[0]);
        return found[0];
    }

    private void scan(BiConsumer<String, byte[]> each) {
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            long movedMs = System.currentTimeMillis();
            while (consumer.position(partition) < end) {
                long before = consumer.position(partition);
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(SLICE)) {
                    if (record.key() != null && record.value() != null) {
                        each.accept(new String(record.key(), StandardCharsets.UTF_8), record.value());
                    }
                }
                movedMs = consumer.position(partition) > before ? System.currentTimeMillis() : movedMs;
                if (System.currentTimeMillis() - movedMs > PATIENCE_MS) {
                    throw new IllegalStateException("The state topic " + partition.topic() + " could not be read on.");
                }
            }
        }
    }
}
