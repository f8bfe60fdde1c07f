package io.streamagg.flink;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A member of the consumer group that reads nothing, so that nobody else begins to count for the group, or takes its
 * counts back, while a job runs.
 */
final class Presence {
    private static final Logger LOG = LoggerFactory.getLogger(Presence.class);
    private static final Duration SLICE = Duration.ofSeconds(1);
    private static final long PAUSE_MS = 5_000;
    /** How long the group waits for a job that was killed, unless the user has chosen otherwise. */
    private static final String SESSION_MS = "10000";

    private final String topic;
    private final Properties properties = new Properties();
    private final Thread thread = new Thread(this::work, "streamagg-presence");
    private volatile boolean closed;
    private volatile KafkaConsumer<byte[], byte[]> consumer;

    /** {@code consumer}: properties of one. */
    Presence(String topic, Properties consumer) {
        this.topic = topic;
        properties.setProperty("session.timeout.ms", SESSION_MS);
        properties.putAll(consumer);
        // No other member may share partitions with it, and of a group without offsets it wants none.
        properties.setProperty("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        properties.setProperty("auto.offset.reset", "latest");
        thread.setDaemon(true);
        thread.start();
    }

    private void work() {
        while (!closed) {
            try {
                attend();
            } catch (WakeupException end) {
                return;
            } catch (KafkaException error) {
                LOG.warn("The job is not in the group of its counts: {}", error.toString());
                pause();
            }
        }
    }

    private void attend() {
        try (KafkaConsumer<byte[], byte[]> member =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer = member;
            member.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    member.pause(partitions);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    // It has not read them.
                }
            });
            while (!closed) {
                member.poll(SLICE);
            }
        }
    }

    private void pause() {
        try {
            Thread.sleep(PAUSE_MS);
        } catch (InterruptedException end) {
            closed = true;
        }
    }

    /** Leaves the group. */
    void close() throws InterruptedException {
        closed = true;
        KafkaConsumer<byte[], byte[]> member = consumer;
        if (member != null) {
            member.wakeup();
        }
        thread.join(PAUSE_MS);
    }
}
