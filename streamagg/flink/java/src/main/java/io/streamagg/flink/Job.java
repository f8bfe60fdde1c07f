package io.streamagg.flink;

import io.streamagg.core.JobSettings;
import io.streamagg.core.Windows;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.BasicTypeInfo;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;

/**
 * The job of streamagg on Flink.
 *
 * <pre>
 * source ─ decode ─▶ clock ─ rows, marks ─▶ count ─ shares ─▶ publish ─ results ─▶ sink
 *            │      by partition         by shard of users    one       one transaction for each checkpoint
 *            │         └─ statuses ─▶ progress ─ closes ─▲
 *            └─ letters ─▶ dead-letter topic
 * </pre>
 */
public final class Job {
    private static final String INLINE = "base64:";
    private static final String VARIABLE = "env:";
    private static final long CHECKPOINT_MS = 10_000;

    private Job() {}

    /**
     * One argument: the settings in base64 behind {@code base64:}, a variable that holds them behind {@code env:}, or
     * a file.
     */
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        JobSettings settings = settings(args[0]);
        build(environment, settings);
        environment.execute(name(settings));
    }

    static String name(JobSettings settings) {
        return "streamagg " + settings.input() + " to " + settings.output();
    }

    static JobSettings settings(String given) throws java.io.IOException {
        if (given.startsWith(INLINE)) {
            byte[] json = Base64.getDecoder().decode(given.substring(INLINE.length()));
            return JobSettings.parse(new String(json, StandardCharsets.UTF_8));
        }
        if (given.startsWith(VARIABLE)) {
            return JobSettings.parse(System.getenv(given.substring(VARIABLE.length())));
        }
        return JobSettings.parse(Files.readString(Path.of(given)));
    }

    /** Lays the job out; throws SettingsException. */
    static void build(StreamExecutionEnvironment environment, JobSettings settings) throws Exception {
        environment.getConfig().enableObjectReuse();
        if (!environment.getCheckpointConfig().isCheckpointingEnabled()) {
            environment.enableCheckpointing(CHECKPOINT_MS);
        }
        // A checkpoint finds all counters at the same place only if what was sent before it has come.
        environment.getCheckpointConfig().enableUnalignedCheckpoints(false);
        int shards = environment.getMaxParallelism() > 0 ? environment.getMaxParallelism() : defaultShards(environment);
        environment.setMaxParallelism(shards);
        int clocks = environment.getParallelism();
        Windows windows = Windows.of(settings.window());
        Properties consumer = Clients.consumer(settings.kafka());
        Starts starts = Starts.find(settings, consumer);

        SingleOutputStreamOperator<Arrival> arrivals =
                settings.handBack() ? nothing(environment) : arrivals(environment, settings, starts);
        ClockPlan plan = new ClockPlan(
                settings.input(),
                starts.byPartition(),
                settings.idleTimeoutMs(),
                settings.untilEnd() || settings.handBack(),
                settings.keepOpen(),
                settings.handBack());
        SingleOutputStreamOperator<Timely> rows = arrivals
                .keyBy(new PartitionKey(shards), BasicTypeInfo.INT_TYPE_INFO)
                .transform("clock", Timely.TYPE, new ClockOperator(windows, plan, consumer))
                .uid("clock");
        DataStream<Close> closes = rows.getSideOutput(ClockOperator.STATUSES)
                .transform("progress", Close.TYPE, new ProgressOperator(windows, clocks))
                .uid("progress")
                .setParallelism(1)
                .setMaxParallelism(1);
        SingleOutputStreamOperator<Fact> shares = rows.keyBy(new ShardKey(settings.decode().countsUsers(), shards), BasicTypeInfo.INT_TYPE_INFO)
                .connect(closes.broadcast())
                .transform("count", Fact.TYPE, new CountOperator(settings, consumer, clocks, shards))
                .uid("count");
        shares.union(rows.getSideOutput(ClockOperator.FACTS))
                .transform("publish", Outgoing.TYPE, new PublishOperator(settings, consumer, clocks))
                .uid("publish")
                .setParallelism(1)
                .setMaxParallelism(1)
                .sinkTo(Sinks.results(settings, Clients.all(settings.kafka())))
                .name("results")
                .uid("results")
                .setParallelism(1);
        if (settings.handBack() && settings.stateTopic() != null) {
            shares.getSideOutput(CountOperator.STATE)
                    .sinkTo(Sinks.state(settings, Clients.all(settings.kafka())))
                    .name("state")
                    .uid("state");
        }
        if (settings.deadLetter() != null) {
            KafkaSink<Letter> sink = Sinks.letters(settings, Clients.all(settings.kafka()));
            arrivals.getSideOutput(DecodeFunction.LETTERS).sinkTo(sink).name("dead letters").uid("letters");
            rows.getSideOutput(ClockOperator.FUTURE)
                    .process(new RereadFunction(settings.input(), consumer))
                    .returns(Letter.TYPE)
                    .name("read again")
                    .uid("reread")
                    .sinkTo(sink)
                    .name("dead letters of the future")
                    .uid("future-letters");
        }
    }

    private static SingleOutputStreamOperator<Arrival> arrivals(
            StreamExecutionEnvironment environment, JobSettings settings, Starts starts) {
        long maxJumpMs = settings.window().maxJumpMs();
        return environment
                .fromSource(source(settings, starts), WatermarkStrategy.noWatermarks(), "source")
                .uid("source")
                .process(new DecodeFunction(settings.decode(), maxJumpMs, settings.deadLetter() != null))
                .returns(Arrival.TYPE)
                .name("decode")
                .uid("decode");
    }

    /** In the place of the input where a job only hands back. */
    private static SingleOutputStreamOperator<Arrival> nothing(StreamExecutionEnvironment environment) {
        return environment
                .fromSequence(0, 0)
                .uid("nothing")
                .flatMap((Long number, Collector<Arrival> out) -> {})
                .returns(Arrival.TYPE);
    }

    /** So many key groups that a job can grow to some tens of times its size. */
    private static int defaultShards(StreamExecutionEnvironment environment) {
        return Math.max(128, Integer.highestOneBit(environment.getParallelism()) * 16);
    }

    private static KafkaSource<Input> source(JobSettings settings, Starts starts) {
        KafkaSourceBuilder<Input> source = KafkaSource.<Input>builder()
                .setBootstrapServers(settings.kafka().bootstrapServers())
                .setTopics(settings.input())
                .setStartingOffsets(starts)
                .setDeserializer(new Input.Schema())
                .setProperties(Clients.consumer(settings.kafka()))
                .setProperty("commit.offsets.on.checkpoint", "false")
                .setProperty("partition.discovery.interval.ms", "1000")
                .setProperty("max.poll.records", "5000")
                .setProperty("fetch.max.wait.ms", "80")
                .setProperty("fetch.min.bytes", "100000");
        return settings.untilEnd() ? source.setBounded(OffsetsInitializer.latest()).build() : source.build();
    }
}
