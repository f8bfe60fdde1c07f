import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.Properties;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.streams.processor.api.Record;

/** The topic into which windows are published, as its readers see it: committed rows only. */
final class Output implements AutoCloseable {
    private static final Duration LOOK_EVERY = Duration.ofMillis(200);

    private final Consumer<byte[], byte[]> consumer;

    Output(String bootstrap, String topic) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<TopicPartition> partitions = List.of(new TopicPartition(topic, 0));
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
    }

    static Record<byte[], String> row(long start, long users, long timestamp) {
        return new Record<>(null, json(start, users), timestamp);
    }

    static String json(long start, long users) {
        return "{\"ts\":" + start + ",\"cnt\":" + users + "}";
    }

    static String json(long start, String page, Figures figures) {
        return "{\"ts\":" + start
                + ",\"page\":\"" + String.valueOf(JsonStringEncoder.getInstance().quoteAsString(page))
                + "\",\"cnt\":" + figures.users()
                + ",\"records\":" + figures.records()
                + ",\"bytes\":" + figures.bytes()
                + ",\"slowest\":" + figures.slowest() + "}";
    }

    /** When the last row came, on the clock of {@code System.nanoTime}. */
    long follow(Completion completion, BooleanSupplier alive) throws Exception {
        long seen = 0;
        long lastCame = System.nanoTime();
        while (alive.getAsBoolean()) {
            int came = consumer.poll(LOOK_EVERY).count();
            if (came > 0) {
                seen += came;
                lastCame = System.nanoTime();
            }
            OptionalLong rows = completion.rows();
            if (rows.isPresent() && seen >= rows.getAsLong()) {
                return lastCame;
            }
        }
        throw new IllegalStateException("The application has ended before its input.");
    }

    @Override
    public void close() {
        consumer.close();
    }
}
