import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Sends the users of closed windows on to the merging task, many in a message; the windows come in order. */
final class Handover {
    private final ProcessorContext<Integer, Share> context;
    private final long timestamp;
    private long start;
    private List<String> users = new ArrayList<>();

    Handover(ProcessorContext<Integer, Share> context, long timestamp) {
        this.context = context;
        this.timestamp = timestamp;
    }

    void add(long window, String user) {
        if (window != start || users.size() == Share.MOST_USERS) {
            flush();
        }
        start = window;
        users.add(user);
    }

    /** All windows that start before this one are handed over. */
    void end(long closedBefore) {
        flush();
        forward(Share.end(partition(), closedBefore));
    }

    private void flush() {
        if (!users.isEmpty()) {
            forward(new Share(partition(), start, users, start));
            users = new ArrayList<>();
        }
    }

    private void forward(Share share) {
        context.forward(new Record<>(share.partition(), share, timestamp));
    }

    private int partition() {
        return context.taskId().partition();
    }
}
