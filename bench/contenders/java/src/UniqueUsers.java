import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Counts the unique users of every minute of a topic, from its beginning to its present end. */
public final class UniqueUsers {
    private static final int THREADS = 2;

    private final Union union;
    private final Map<Long, Integer> counts = new TreeMap<>();

    private UniqueUsers(int partitions) {
        union = new Union(partitions);
    }

    /** {@code UniqueUsers BOOTSTRAP TOPIC RESULT}. */
    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String topic = arguments[1];
        int partitions;
        try (Consumer<byte[], Event> consumer = consumer(bootstrap)) {
            partitions = consumer.partitionsFor(topic).size();
        }
        new UniqueUsers(partitions).run(bootstrap, topic, partitions, new File(arguments[2]));
    }

    private void run(String bootstrap, String topic, int partitions, File result) throws Exception {
        List<PartitionReader> readers = new ArrayList<>();
        for (int number = 0; number < Math.min(THREADS, partitions); number++) {
            List<TopicPartition> share = new ArrayList<>();
            for (int partition = number; partition < partitions; partition += THREADS) {
                share.add(new TopicPartition(topic, partition));
            }
            readers.add(new PartitionReader(consumer(bootstrap), share, this::handOver));
        }
        ExecutorService threads = Executors.newFixedThreadPool(readers.size());
        long began = System.nanoTime();
        long records = 0;
        for (Future<Long> reading : threads.invokeAll(readers)) {
            records += reading.get();
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        threads.shutdown();
        Result.write(result, records, seconds, counts);
    }

    private synchronized void handOver(int partition, OpenWindows.Closed closed) {
        closed.users().forEach(union::add);
        counts.putAll(union.close(partition, closed.before()));
    }

    private static Consumer<byte[], Event> consumer(String bootstrap) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 5_000);
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new EventDeserializer());
    }
}
