package io.streamagg.flink;

import io.streamagg.core.JobSettings;
import io.streamagg.core.StartAt;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.TopicPartition;

/** Where reading begins, by partition; a job that continues from a savepoint goes on from there instead. */
final class Starts implements OffsetsInitializer {
    private static final long serialVersionUID = 1;

    private final HashMap<Integer, Start> starts;

    private Starts(HashMap<Integer, Start> starts) {
        this.starts = starts;
    }

    /** As the settings say; {@code client}: properties of an admin client. */
    static Starts find(JobSettings settings, Properties client) throws InterruptedException, ExecutionException {
        try (Admin admin = Admin.create(client)) {
            int partitions = admin.describeTopics(java.util.List.of(settings.input()))
                    .allTopicNames()
                    .get()
                    .get(settings.input())
                    .partitions()
                    .size();
            Map<Integer, Long> begins = offsets(admin, settings.input(), partitions, OffsetSpec.earliest());
            Map<Integer, Long> ends = offsets(admin, settings.input(), partitions, OffsetSpec.latest());
            Map<Integer, Long> from = offsets(admin, settings.input(), partitions, spec(settings.start()));
            HashMap<Integer, Start> starts = new HashMap<>();
            for (int partition = 0; partition < partitions; partition++) {
                if (settings.handed() != null && settings.handed().partitions().containsKey(partition)) {
                    starts.put(partition, Start.at(settings.handed(), partition));
                    continue;
                }
                // Kafka says -1 where no record is so young.
                long offset = from.get(partition) < 0 ? ends.get(partition) : from.get(partition);
                starts.put(partition, Start.anew(offset, offset > 0 || begins.get(partition) > 0));
            }
            return new Starts(starts);
        }
    }

    private static OffsetSpec spec(StartAt start) {
        return switch (start.kind()) {
            case COMMITTED, EARLIEST -> OffsetSpec.earliest();
            case LATEST -> OffsetSpec.latest();
            case TIME -> OffsetSpec.forTimestamp(start.timeMs());
        };
    }

    private static Map<Integer, Long> offsets(Admin admin, String topic, int partitions, OffsetSpec spec)
            throws InterruptedException, ExecutionException {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) {
            asked.put(new TopicPartition(topic, partition), spec);
        }
        Map<Integer, Long> found = new HashMap<>();
        for (Map.Entry<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> one :
                admin.listOffsets(asked).all().get().entrySet()) {
            found.put(one.getKey().partition(), one.getValue().offset());
        }
        return found;
    }

    HashMap<Integer, Start> byPartition() {
        return starts;
    }

    @Override
    public Map<TopicPartition, Long> getPartitionOffsets(
            Collection<TopicPartition> partitions, PartitionOffsetsRetriever retriever) {
        Map<TopicPartition, Long> offsets = new HashMap<>(retriever.beginningOffsets(partitions));
        offsets.replaceAll((partition, begin) ->
                starts.containsKey(partition.partition())
                        ? starts.get(partition.partition()).position().readFrom()
                        : begin);
        return offsets;
    }

    @Override
    @SuppressWarnings("deprecation")
    public OffsetResetStrategy getAutoOffsetResetStrategy() {
        return OffsetResetStrategy.NONE;
    }
}
