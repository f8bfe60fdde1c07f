import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.streams.processor.api.ProcessorContext;

/** The topic that is read, and the offsets where it ended when the program began, by partition. */
record Input(String topic, Map<Integer, Long> ends) {
    static Input of(Admin admin, String topic) throws ExecutionException, InterruptedException {
        TopicDescription description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        for (TopicPartitionInfo one : description.partitions()) {
            wanted.put(new TopicPartition(topic, one.partition()), OffsetSpec.latest());
        }
        Map<Integer, Long> ends = new TreeMap<>();
        admin.listOffsets(wanted).all().get().forEach((one, end) -> ends.put(one.partition(), end.offset()));
        return new Input(topic, ends);
    }

    int partitions() {
        return ends.size();
    }

    /**
     * Whether the present record is the last one of its partition. A stream has no end, so its last windows
     * stay open for ever; the processors that are told one close them there.
     */
    boolean isAtEnd(ProcessorContext<?, ?> context) {
        return context.recordMetadata()
                .filter(record -> record.offset() + 1 == ends.get(record.partition()))
                .isPresent();
    }
}
