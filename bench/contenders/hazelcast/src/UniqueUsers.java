import com.hazelcast.config.Config;
import com.hazelcast.core.Hazelcast;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.jet.Job;
import com.hazelcast.jet.aggregate.AggregateOperations;
import com.hazelcast.jet.kafka.KafkaSinks;
import com.hazelcast.jet.kafka.KafkaSources;
import com.hazelcast.jet.pipeline.Pipeline;
import com.hazelcast.jet.pipeline.StreamSource;
import com.hazelcast.jet.pipeline.WindowDefinition;
import java.io.File;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Counts the unique users of every minute of a topic until what it held at the start is counted. */
public final class UniqueUsers {
    private static final int THREADS = 2;
    /** What all of the threads have read: the member is part of this process. */
    private static final LongAdder RECORDS = new LongAdder();

    private UniqueUsers() {}

    /** {@code UniqueUsers BOOTSTRAP INPUT RECORDS PARTITIONS OUTPUT RESULT}. */
    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        long records = Long.parseLong(arguments[2]);
        int readers = Math.min(THREADS, Integer.parseInt(arguments[3]));
        String output = arguments[4];
        HazelcastInstance member = Hazelcast.newHazelcastInstance(alone());
        try (Output rows = new Output(bootstrap, output)) {
            long began = System.nanoTime();
            Job job = member.getJet().newJob(pipeline(bootstrap, arguments[1], readers, output));
            long ended = rows.follow(() -> RECORDS.sum() >= records, () -> job.getStatus().isTerminal());
            job.cancel();
            Result.write(new File(arguments[5]), RECORDS.sum(), (ended - began) / 1e9, null);
        } finally {
            member.shutdown();
        }
    }

    private static Pipeline pipeline(String bootstrap, String topic, int readers, String output) {
        Properties servers = new Properties();
        servers.put("bootstrap.servers", bootstrap);
        Pipeline pipeline = Pipeline.create();
        pipeline.readFrom(source(servers, topic))
                .withTimestamps(event -> event.second() * 1_000, EventClock.LATENESS_S * 1_000)
                .setLocalParallelism(readers)
                .window(WindowDefinition.tumbling(EventClock.WINDOW_S * 1_000))
                .aggregate(AggregateOperations.mapping(Event::user, AggregateOperations.toSet()))
                .map(window -> Output.json(window.start() / 1_000, window.result().size()))
                .writeTo(KafkaSinks.kafka(sink(servers), output, row -> null, row -> row));
        return pipeline;
    }

    private static StreamSource<Event> source(Properties servers, String topic) {
        Properties settings = new Properties();
        settings.putAll(servers);
        settings.put("key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        settings.put("value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        settings.put("auto.offset.reset", "earliest");
        settings.put("isolation.level", "read_committed");
        settings.put("max.poll.records", 5_000);
        return KafkaSources.kafka(settings, UniqueUsers::event, topic)
                .setPartitionIdleTimeout(0);
    }

    /** Null, which Jet leaves out, for what is no event. */
    private static Event event(ConsumerRecord<byte[], byte[]> record) {
        RECORDS.increment();
        byte[] value = record.value();
        return value == null ? null : Event.parse(value, 0, value.length);
    }

    private static Properties sink(Properties servers) {
        Properties settings = new Properties();
        settings.putAll(servers);
        settings.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        return settings;
    }

    /** A member that looks for no others, is reached from this machine only, and reports to nobody. */
    private static Config alone() {
        Config config = new Config();
        config.setProperty("hazelcast.logging.type", "none");
        config.setProperty("hazelcast.phone.home.enabled", "false");
        config.setProperty("hazelcast.socket.bind.any", "false");
        config.getNetworkConfig().getInterfaces().setEnabled(true).addInterface("127.0.0.1");
        config.getNetworkConfig().getJoin().getAutoDetectionConfig().setEnabled(false);
        config.getJetConfig().setEnabled(true).setCooperativeThreadCount(THREADS);
        return config;
    }
}
