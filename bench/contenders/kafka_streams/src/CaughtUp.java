import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;

/** A run is over when everything that the application reads, its own topics too, is read and committed. */
record CaughtUp(Admin admin, String application, String input, String output) implements Completion {
    @Override
    public OptionalLong rows() throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> committed =
                admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get();
        // Asked for afterwards: had a task sent anything since its commit, an end would lie behind it.
        Map<TopicPartition, Long> ends = ends(admin.listTopics().names().get().stream()
                .filter(topic -> topic.equals(input) || isOwn(topic))
                .toList());
        boolean all = ends.entrySet().stream().allMatch(end -> isReached(end, committed));
        return all ? OptionalLong.of(rowsOfOutput()) : OptionalLong.empty();
    }

    private boolean isOwn(String topic) {
        return topic.startsWith(application + "-") && topic.endsWith("-repartition");
    }

    private static boolean isReached(
            Map.Entry<TopicPartition, Long> end, Map<TopicPartition, OffsetAndMetadata> committed) {
        OffsetAndMetadata read = committed.get(end.getKey());
        return end.getValue() == (read == null ? 0 : read.offset());
    }

    private long rowsOfOutput() throws ExecutionException, InterruptedException {
        return ends(List.of(output)).values().stream().mapToLong(Long::longValue).sum();
    }

    private Map<TopicPartition, Long> ends(Collection<String> topics)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        for (TopicDescription topic : admin.describeTopics(topics).allTopicNames().get().values()) {
            for (TopicPartitionInfo one : topic.partitions()) {
                wanted.put(new TopicPartition(topic.name(), one.partition()), OffsetSpec.latest());
            }
        }
        Map<TopicPartition, ListOffsetsResultInfo> found = admin.listOffsets(wanted).all().get();
        return found.entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, end -> end.getValue().offset()));
    }
}
