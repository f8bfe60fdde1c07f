import java.io.File;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** Counts the unique users of every minute of a topic until what it held at the start is counted. */
public final class UniqueUsers {
    private static final int THREADS = 2;
    private static final Set<String> EXACTLY_ONCE = Set.of("memory", "rocksdb");

    private UniqueUsers() {}

    /** {@code UniqueUsers heap|heap-grouped|memory|rocksdb|dsl BOOTSTRAP INPUT OUTPUT RESULT STATE}. */
    public static void main(String[] arguments) throws Exception {
        String form = arguments[0];
        String bootstrap = arguments[1];
        String topic = arguments[2];
        String output = arguments[3];
        Properties settings = settings(bootstrap, output, arguments[5], EXACTLY_ONCE.contains(form));
        try (Admin admin = Admin.create(settings)) {
            LongAdder records = new LongAdder();
            Progress progress = new Progress();
            Topologies topologies = new Topologies(Input.of(admin, topic), output, records, progress);
            Completion completion =
                    form.equals("dsl") ? new CaughtUp(admin, output, topic, output) : progress;
            double seconds = run(topologies.form(form), settings, new Output(bootstrap, output), completion);
            Result.write(new File(arguments[4]), records.sum(), seconds, null);
            removeTopics(admin, output);
        }
    }

    /** Seconds from the moment when all threads run to the last row of the output. */
    private static double run(
            StreamsBuilder builder, Properties settings, Output output, Completion completion)
            throws Exception {
        AtomicLong began = new AtomicLong();
        try (output; KafkaStreams streams = new KafkaStreams(builder.build(settings), settings)) {
            streams.setStateListener((state, before) -> {
                if (state == KafkaStreams.State.RUNNING) {
                    began.compareAndSet(0, System.nanoTime());
                }
            });
            streams.setUncaughtExceptionHandler(failure -> {
                failure.printStackTrace();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            BooleanSupplier alive = () -> !streams.state().hasStartedOrFinishedShuttingDown();
            return (output.follow(completion, alive) - began.get()) / 1e9;
        }
    }

    private static Properties settings(
            String bootstrap, String application, String state, boolean exactlyOnce) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, THREADS);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        if (exactlyOnce) {
            settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        }
        return settings;
    }

    /** The topics that the application made for itself. */
    private static void removeTopics(Admin admin, String application) throws Exception {
        List<String> own = admin.listTopics().names().get().stream()
                .filter(topic -> topic.startsWith(application + "-"))
                .toList();
        admin.deleteTopics(own).all().get();
    }
}
