package io.streamagg.flink;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Asks the broker whether partitions are read to their ends, in a thread of its own.
 *
 * <p>The end is that of all records, committed or not. What lies between it and the last record that was read may be
 * markers of transactions, which no reader sees: a consumer tells them from records by going over them.
 */
final class LogEnds implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    /**
     * What the broker has said.
     *
     * @param atEnd by partition
     */
    record Answer(long askedMs, Map<Integer, Boolean> atEnd) {}

    private final String topic;
    private final Properties properties;
    private final ExecutorService thread = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task, "streamagg-log-ends");
        thread.setDaemon(true);
        return thread;
    });
    private KafkaConsumer<byte[], byte[]> consumer;
    private Admin admin;

    /** {@code properties}: of a consumer that reads what is committed. */
    LogEnds(String topic, Properties properties) {
        this.topic = topic;
        this.properties = properties;
    }

    /** Begins to ask about partitions, by the next offset to read of each. */
    Future<Answer> ask(Map<Integer, Long> positions, long nowMs) {
        return thread.submit(() -> new Answer(nowMs, answers(positions)));
    }

    private Map<Integer, Boolean> answers(Map<Integer, Long> positions) throws Exception {
        if (consumer == null) {
            admin = Admin.create(properties);
            consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        positions.forEach((partition, position) -> asked.put(at(partition), OffsetSpec.latest()));
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> ends = admin.listOffsets(asked).all().get();
        Map<Integer, Boolean> answers = new HashMap<>();
        positions.forEach((partition, position) ->
                answers.put(partition, isAtEnd(partition, position, ends.get(at(partition)).offset())));
        return answers;
    }

    private TopicPartition at(int partition) {
        return new TopicPartition(topic, partition);
    }

    private boolean isAtEnd(int partition, long position, long end) {
        if (position >= end) {
            return true;
        }
        consumer.assign(List.of(at(partition)));
        consumer.seek(at(partition), position);
        return consumer.poll(PATIENCE).isEmpty() && consumer.position(at(partition)) >= end;
    }

    @Override
    public void close() {
        thread.submit(() -> {
            if (consumer != null) {
                consumer.close();
                admin.close();
            }
        });
        thread.shutdown();
    }
}
