import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** As {@link HeapCounting}, by page. */
final class HeapPageCounting implements Processor<byte[], Visit, Integer, PageShare> {
    private final Input input;
    private final EventClock clock = new EventClock();
    private final Pages pages = new Pages();
    private ProcessorContext<Integer, PageShare> context;

    HeapPageCounting(Input input) {
        this.input = input;
    }

    @Override
    public void init(ProcessorContext<Integer, PageShare> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], Visit> record) {
        if (record.value() != null) {
            add(record.value());
        }
        if (clock.isDue()) {
            close(clock.due(), record.timestamp());
        }
        if (input.isAtEnd(context)) {
            close(Long.MAX_VALUE, record.timestamp());
        }
    }

    private void add(Visit visit) {
        long start = EventClock.windowOf(visit.second());
        if (clock.isOpen(start)) {
            pages.of(start, visit.page()).add(visit);
            clock.see(visit.second());
        }
    }

    private void close(long before, long timestamp) {
        pages.takeBefore(before).forEach((start, figures) -> handOver(start, figures, timestamp));
        forward(PageShare.end(partition(), before), timestamp);
        clock.close(before);
    }

    /** Many pages in a message, but for those of many users. */
    private void handOver(long start, Map<String, Figures> figures, long timestamp) {
        Map<String, Figures> some = new HashMap<>();
        int users = 0;
        for (Map.Entry<String, Figures> page : figures.entrySet()) {
            some.put(page.getKey(), page.getValue());
            users += page.getValue().users();
            if (users >= Share.MOST_USERS) {
                forward(new PageShare(partition(), start, some, start), timestamp);
                some = new HashMap<>();
                users = 0;
            }
        }
        forward(new PageShare(partition(), start, some, start), timestamp);
    }

    private void forward(PageShare share, long timestamp) {
        context.forward(new Record<>(share.partition(), share, timestamp));
    }

    private int partition() {
        return context.taskId().partition();
    }
}
