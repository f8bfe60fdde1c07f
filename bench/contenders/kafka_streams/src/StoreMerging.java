import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** As {@link HeapMerging}, with the shares of open windows in a state store. */
final class StoreMerging implements Processor<Integer, Share, byte[], String> {
    private static final String SHARES = "shares";
    private static final String CLOSED = "closed-by-all";

    private final int partitions;
    private final Progress progress;
    private ProcessorContext<byte[], String> context;
    /** Keys begin with the start of the window. */
    private KeyValueStore<String, Share> shares;
    /** Start of the first window that a partition has not closed. */
    private KeyValueStore<Integer, Long> closed;
    private long publishedBefore = Long.MIN_VALUE;

    private StoreMerging(int partitions, Progress progress) {
        this.partitions = partitions;
        this.progress = progress;
    }

    static ProcessorSupplier<Integer, Share, byte[], String> supplier(
            int partitions, Progress progress, Function<String, KeyValueBytesStoreSupplier> store) {
        return new ProcessorSupplier<>() {
            @Override
            public Processor<Integer, Share, byte[], String> get() {
                return new StoreMerging(partitions, progress);
            }

            @Override
            public Set<StoreBuilder<?>> stores() {
                return Set.of(
                        Stores.keyValueStoreBuilder(store.apply(SHARES), Serdes.String(), Share.serde()),
                        Stores.keyValueStoreBuilder(store.apply(CLOSED), Serdes.Integer(), Serdes.Long()));
            }
        };
    }

    @Override
    public void init(ProcessorContext<byte[], String> context) {
        this.context = context;
        shares = context.getStateStore(SHARES);
        closed = context.getStateStore(CLOSED);
    }

    @Override
    public void process(Record<Integer, Share> record) {
        Share share = record.value();
        if (!share.users().isEmpty()) {
            long number = context.recordMetadata().orElseThrow().offset();
            shares.put(share.start() + "/" + number, share);
        }
        closed.put(share.partition(), share.closedBefore());
        long before = closedByAll();
        if (before > publishedBefore) {
            publish(before, record.timestamp());
        }
    }

    private long closedByAll() {
        long all = Long.MAX_VALUE;
        for (int partition = 0; partition < partitions; partition++) {
            Long one = closed.get(partition);
            all = Math.min(all, one == null ? Long.MIN_VALUE : one);
        }
        return all;
    }

    private void publish(long before, long timestamp) {
        Map<Long, Set<String>> complete = new TreeMap<>();
        try (KeyValueIterator<String, Share> over = shares.range(null, String.valueOf(before))) {
            while (over.hasNext()) {
                KeyValue<String, Share> next = over.next();
                Share share = next.value;
                complete.computeIfAbsent(share.start(), absent -> new HashSet<>()).addAll(share.users());
                shares.delete(next.key);
            }
        }
        complete.forEach((start, users) -> context.forward(Output.row(start, users.size(), timestamp)));
        publishedBefore = before;
        progress.published(complete.size(), before == Long.MAX_VALUE);
    }
}
