import java.util.Set;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** As {@link HeapCounting}, with the users in a state store: nothing is lost when a task dies or moves. */
final class StoreCounting implements Processor<byte[], Event, Integer, Share> {
    private static final String USERS = "users";
    private static final String CLOSED = "closed-by-partition";
    private static final byte[] PRESENT = {};

    private final Input input;
    private final EventClock clock = new EventClock();
    private ProcessorContext<Integer, Share> context;
    /** Keys are the start of a window and a user. */
    private KeyValueStore<String, byte[]> users;
    /** Start of the first window that is not closed. */
    private KeyValueStore<Integer, Long> closed;

    private StoreCounting(Input input) {
        this.input = input;
    }

    static ProcessorSupplier<byte[], Event, Integer, Share> supplier(
            Input input, Function<String, KeyValueBytesStoreSupplier> store) {
        return new ProcessorSupplier<>() {
            @Override
            public Processor<byte[], Event, Integer, Share> get() {
                return new StoreCounting(input);
            }

            @Override
            public Set<StoreBuilder<?>> stores() {
                return Set.of(
                        Stores.keyValueStoreBuilder(store.apply(USERS), Serdes.String(), Serdes.ByteArray()),
                        Stores.keyValueStoreBuilder(store.apply(CLOSED), Serdes.Integer(), Serdes.Long()));
            }
        };
    }

    @Override
    public void init(ProcessorContext<Integer, Share> context) {
        this.context = context;
        users = context.getStateStore(USERS);
        closed = context.getStateStore(CLOSED);
        Long before = closed.get(context.taskId().partition());
        if (before != null) {
            clock.close(before);
        }
    }

    @Override
    public void process(Record<byte[], Event> record) {
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

    private void add(Event event) {
        long start = EventClock.windowOf(event.second());
        if (clock.isOpen(start)) {
            users.putIfAbsent(start + "/" + event.user(), PRESENT);
            clock.see(event.second());
        }
    }

    private void close(long before, long timestamp) {
        Handover handover = new Handover(context, timestamp);
        try (KeyValueIterator<String, byte[]> over = users.range(null, String.valueOf(before))) {
            while (over.hasNext()) {
                String key = over.next().key;
                int slash = key.indexOf('/');
                handover.add(Long.parseLong(key.substring(0, slash)), key.substring(slash + 1));
                users.delete(key);
            }
        }
        handover.end(before);
        clock.close(before);
        closed.put(context.taskId().partition(), before);
    }
}
