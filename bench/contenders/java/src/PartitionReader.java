import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.TopicPartition;

/** One thread: reads its partitions and hands over the users of each window that one of them has closed. */
final class PartitionReader implements Callable<Long> {
    private final Consumer<byte[], Event> consumer;
    private final Collection<TopicPartition> partitions;
    private final BiConsumer<Integer, OpenWindows.Closed> handOver;
    private final Map<TopicPartition, OpenWindows> windows = new HashMap<>();

    PartitionReader(
            Consumer<byte[], Event> consumer,
            Collection<TopicPartition> partitions,
            BiConsumer<Integer, OpenWindows.Closed> handOver) {
        this.consumer = consumer;
        this.partitions = partitions;
        this.handOver = handOver;
        partitions.forEach(partition -> windows.put(partition, new OpenWindows()));
    }

    /** Records read. */
    @Override
    public Long call() {
        long records = 0;
        try (consumer) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Set<TopicPartition> unread = new HashSet<>(partitions);
            while (!unread.isEmpty()) {
                ConsumerRecords<byte[], Event> fetched = consumer.poll(Duration.ofSeconds(1));
                records += fetched.count();
                fetched.partitions().forEach(partition -> add(partition, fetched.records(partition)));
                unread.removeIf(partition -> isAtEnd(partition, ends.get(partition)));
            }
        }
        return records;
    }

    private void add(TopicPartition partition, Iterable<ConsumerRecord<byte[], Event>> records) {
        OpenWindows open = windows.get(partition);
        for (ConsumerRecord<byte[], Event> record : records) {
            if (record.value() != null) {
                open.add(record.value());
            }
            if (open.isDue()) {
                handOver.accept(partition.partition(), open.closeDue());
            }
        }
    }

    private boolean isAtEnd(TopicPartition partition, long end) {
        if (consumer.position(partition) < end) {
            return false;
        }
        handOver.accept(partition.partition(), windows.get(partition).closeAll());
        return true;
    }
}
