package io.streamagg.flink;

import io.streamagg.core.Rejection;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads records again that the clock has rejected, for their dead letters; of one that is gone there is its place. */
final class RereadFunction extends ProcessFunction<Place, Letter> {
    private static final long serialVersionUID = 1;
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final String topic;
    private final Properties properties;
    private transient KafkaConsumer<byte[], byte[]> consumer;

    /** {@code properties}: of a consumer. */
    RereadFunction(String topic, Properties properties) {
        this.topic = topic;
        this.properties = new Properties();
        this.properties.putAll(properties);
        this.properties.setProperty("max.poll.records", "1");
    }

    @Override
    public void open(OpenContext context) {
        consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    @Override
    public void processElement(Place place, Context context, Collector<Letter> out) {
        TopicPartition partition = new TopicPartition(topic, place.partition());
        consumer.assign(List.of(partition));
        consumer.seek(partition, place.offset());
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(PATIENCE)) {
            if (record.offset() == place.offset()) {
                out.collect(new Input(record).letter(Rejection.FUTURE.reason()));
                return;
            }
        }
        String reason = Rejection.FUTURE.reason();
        out.collect(new Letter(reason, place.partition(), place.offset(), -1, null, null));
    }

    @Override
    public void close() {
        if (consumer != null) {
            consumer.close();
        }
    }
}
