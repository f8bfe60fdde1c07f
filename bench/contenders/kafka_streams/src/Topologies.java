import java.time.Duration;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.Stores;

/** The forms of the application. {@code records} counts what they read. */
record Topologies(Input input, String output, LongAdder records, Progress progress) {
    private static final Serde<Event> EVENTS = Serdes.serdeFrom(
            (topic, event) -> {
                throw new UnsupportedOperationException("Events are read only.");
            },
            new EventDeserializer());
    private static final Serde<Visit> VISITS = Serdes.serdeFrom(
            (topic, visit) -> {
                throw new UnsupportedOperationException("Visits are read only.");
            },
            (topic, value) -> value == null ? null : Visit.parse(value));
    private static final TimeWindows MINUTES = TimeWindows.ofSizeAndGrace(
            Duration.ofSeconds(EventClock.WINDOW_S), Duration.ofSeconds(EventClock.LATENESS_S));

    StreamsBuilder form(String name) {
        return switch (name) {
            case "heap" -> plain(
                    () -> new HeapCounting(input), () -> new HeapMerging(input.partitions(), progress));
            case "heap-grouped" -> processors(
                    VISITS,
                    () -> new HeapPageCounting(input),
                    PageShare.serde(),
                    () -> new HeapPageMerging(input.partitions(), progress));
            case "memory" -> stores(Stores::inMemoryKeyValueStore);
            case "rocksdb" -> stores(Stores::persistentKeyValueStore);
            case "dsl" -> dsl();
            default -> throw new IllegalArgumentException(name);
        };
    }

    private StreamsBuilder stores(Function<String, KeyValueBytesStoreSupplier> store) {
        return plain(
                StoreCounting.supplier(input, store),
                StoreMerging.supplier(input.partitions(), progress, store));
    }

    private StreamsBuilder plain(
            ProcessorSupplier<byte[], Event, Integer, Share> counting,
            ProcessorSupplier<Integer, Share, byte[], String> merging) {
        return processors(EVENTS, counting, Share.serde(), merging);
    }

    /** One task for each partition counts; one task, behind a topic with one partition, merges. */
    private <V, S> StreamsBuilder processors(
            Serde<V> values,
            ProcessorSupplier<byte[], V, Integer, S> counting,
            Serde<S> shares,
            ProcessorSupplier<Integer, S, byte[], String> merging) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(input.topic(), Consumed.with(Serdes.ByteArray(), values))
                .peek((key, event) -> records.increment())
                .process(counting)
                .repartition(Repartitioned.<Integer, S>as("closed")
                        .withKeySerde(Serdes.Integer())
                        .withValueSerde(shares)
                        .withNumberOfPartitions(1))
                .process(merging)
                .to(output, Produced.with(Serdes.ByteArray(), Serdes.String()));
        return builder;
    }

    /** One row for each user and window, final when the window closes; then the rows of each window. */
    private StreamsBuilder dsl() {
        StreamsBuilder builder = new StreamsBuilder();
        Consumed<byte[], Event> inEventTime = Consumed.with(Serdes.ByteArray(), EVENTS)
                .withTimestampExtractor((record, latest) ->
                        record.value() instanceof Event event ? event.second() * 1_000 : latest);
        builder.stream(input.topic(), inEventTime)
                .peek((key, event) -> records.increment())
                .filter((key, event) -> event != null)
                .map((key, event) -> KeyValue.pair(event.user(), ""))
                .groupByKey(Grouped.with("users", Serdes.String(), Serdes.String()))
                .windowedBy(MINUTES)
                .emitStrategy(EmitStrategy.onWindowClose())
                .count()
                .toStream((window, times) -> window.window().startTime().getEpochSecond())
                .groupByKey(Grouped.with("windows", Serdes.Long(), Serdes.Long()))
                .count()
                .toStream()
                .map((start, users) -> KeyValue.pair((byte[]) null, Output.json(start, users)))
                .to(output, Produced.with(Serdes.ByteArray(), Serdes.String()));
        return builder;
    }
}
