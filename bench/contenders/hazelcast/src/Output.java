import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The topic into which windows are published. */
final class Output implements AutoCloseable {
    private static final Duration LOOK_EVERY = Duration.ofMillis(100);
    private static final long QUIET_NS = Duration.ofSeconds(3).toNanos();

    private final Consumer<byte[], byte[]> consumer;

    Output(String bootstrap, String topic) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<TopicPartition> partitions = List.of(new TopicPartition(topic, 0));
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
    }

    static String json(long start, int users) {
        return "{\"ts\":" + start + ",\"cnt\":" + users + "}";
    }

    /**
     * When the last row came, or the last record was read if that was later, on the clock of {@code
     * System.nanoTime}. A stream has no end, and nobody says which row is the last: it is the one after which
     * none comes for a while.
     */
    long follow(BooleanSupplier allRead, BooleanSupplier ended) {
        long latest = System.nanoTime();
        boolean read = false;
        while (!read || System.nanoTime() - latest < QUIET_NS) {
            if (ended.getAsBoolean()) {
                throw new IllegalStateException("The job has ended before its input.");
            }
            boolean came = !consumer.poll(LOOK_EVERY).isEmpty();
            if (came || !read) {
                latest = System.nanoTime();
            }
            read = allRead.getAsBoolean();
        }
        return latest;
    }

    @Override
    public void close() {
        consumer.close();
    }
}
