import java.util.Arrays;
import java.util.Map;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** As {@link HeapMerging}, by page. */
final class HeapPageMerging implements Processor<Integer, PageShare, byte[], String> {
    private final long[] closedBefore;
    private final Progress progress;
    private final Pages pages = new Pages();
    private ProcessorContext<byte[], String> context;

    HeapPageMerging(int partitions, Progress progress) {
        closedBefore = new long[partitions];
        Arrays.fill(closedBefore, Long.MIN_VALUE);
        this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<byte[], String> context) {
        this.context = context;
    }

    @Override
    public void process(Record<Integer, PageShare> record) {
        PageShare share = record.value();
        share.pages().forEach((page, figures) -> pages.of(share.start(), page).add(figures));
        closedBefore[share.partition()] = share.closedBefore();
        long before = Arrays.stream(closedBefore).min().orElseThrow();
        long rows = 0;
        for (Map.Entry<Long, Map<String, Figures>> window : pages.takeBefore(before).entrySet()) {
            window.getValue().forEach((page, figures) -> context.forward(
                    new Record<>(null, Output.json(window.getKey(), page, figures), record.timestamp())));
            rows += window.getValue().size();
        }
        progress.published(rows, before == Long.MAX_VALUE);
    }
}
