import java.util.Map;
import java.util.Set;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Keeps the users of one partition's open windows in sets and hands those of closed windows over. */
final class HeapCounting implements Processor<byte[], Event, Integer, Share> {
    private final Input input;
    private final OpenWindows windows = new OpenWindows();
    private ProcessorContext<Integer, Share> context;

    HeapCounting(Input input) {
        this.input = input;
    }

    @Override
    public void init(ProcessorContext<Integer, Share> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], Event> record) {
        if (record.value() != null) {
            windows.add(record.value());
        }
        if (windows.isDue()) {
            forward(windows.closeDue(), record);
        }
        if (input.isAtEnd(context)) {
            forward(windows.closeAll(), record);
        }
    }

    private void forward(OpenWindows.Closed closed, Record<byte[], Event> cause) {
        Handover handover = new Handover(context, cause.timestamp());
        for (Map.Entry<Long, Set<String>> window : closed.users().entrySet()) {
            window.getValue().forEach(user -> handover.add(window.getKey(), user));
        }
        handover.end(closed.before());
    }
}
