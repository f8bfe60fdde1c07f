import java.util.Map;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Unites the shares of all partitions and publishes each window when all of them have closed it. */
final class HeapMerging implements Processor<Integer, Share, byte[], String> {
    private final Progress progress;
    private final Union union;
    private ProcessorContext<byte[], String> context;

    HeapMerging(int partitions, Progress progress) {
        this.progress = progress;
        union = new Union(partitions);
    }

    @Override
    public void init(ProcessorContext<byte[], String> context) {
        this.context = context;
    }

    @Override
    public void process(Record<Integer, Share> record) {
        Share share = record.value();
        if (!share.users().isEmpty()) {
            union.add(share.start(), share.users());
        }
        Map<Long, Integer> counts = union.close(share.partition(), share.closedBefore());
        counts.forEach((start, users) -> context.forward(Output.row(start, users, record.timestamp())));
        progress.published(counts.size(), union.isComplete());
    }
}
