package io.streamagg.flink;

import io.streamagg.core.Handed;
import io.streamagg.core.Rejection;
import io.streamagg.core.Row;
import io.streamagg.core.Windows;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * The clocks of partitions: decides of every record whether it counts, is late, or is of the future.
 *
 * <p>Keyed by partition. The state of a partition is small and on the heap, and is written into keyed state at
 * checkpoints.
 */
final class ClockOperator extends AbstractStreamOperator<Timely>
        implements OneInputStreamOperator<Arrival, Timely>, BoundedOneInput, ReadPartition.Outcomes {
    static final OutputTag<Status> STATUSES = new OutputTag<>("statuses", Status.TYPE);
    static final OutputTag<Fact> FACTS = new OutputTag<>("facts", Fact.TYPE);
    static final OutputTag<Place> FUTURE = new OutputTag<>("future", Place.TYPE);
    private static final long serialVersionUID = 1;
    private static final long LONGEST_TICK_MS = 1_000;
    /** Ticks in an idle time-out. */
    private static final long TICKS = 10;
    private static final double SECOND_MS = 1e3;

    private final Windows windows;
    private final ClockPlan plan;
    private final Properties consumer;
    private transient Map<Integer, ReadPartition> partitions;
    private transient Map<Integer, Silence> silences;
    private transient ValueState<byte[]> state;
    private transient LogEnds ends;
    private transient Future<LogEnds.Answer> asked;
    private transient int[] targets;
    private transient int shards;
    private transient int subtask;
    private transient long number;
    private transient long arrivedMs;
    private transient boolean ended;
    private transient Meters meters;
    private transient Counter lateRecords;
    private transient Counter futureRecords;

    /** {@code consumer}: properties of a consumer that asks for the ends of logs. */
    ClockOperator(Windows windows, ClockPlan plan, Properties consumer) {
        this.windows = windows;
        this.plan = plan;
        this.consumer = consumer;
    }

    @Override
    public boolean hasKeyContext1() {
        return false;
    }

    @Override
    @SuppressWarnings("rawtypes")
    public void setKeyContextElement1(StreamRecord record) {
        // Keyed state is looked at for checkpoints, not for records.
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        partitions = new TreeMap<>();
        silences = new HashMap<>();
        state = context.getKeyedStateStore().getState(new ValueStateDescriptor<>(
                "partition", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        if (context.isRestored()) {
            restore();
        }
    }

    private void restore() throws Exception {
        List<Integer> keys = new ArrayList<>();
        try (var stream = this.<Integer>getKeyedStateBackend().getKeys("partition", VoidNamespace.INSTANCE)) {
            stream.forEach(keys::add);
        }
        for (int key : keys) {
            setCurrentKey(key);
            int partition = KeyGroups.partitionOf(key);
            begin(ReadPartition.read(state.value(), partition, windows, this));
        }
    }

    private void begin(ReadPartition partition) {
        partitions.put(partition.number(), partition);
        silences.put(partition.number(), new Silence(plan.idleTimeoutMs(), firstAside(partition), nowMs()));
    }

    @Override
    public void open() throws Exception {
        super.open();
        meters = new Meters(getRuntimeContext());
        lateRecords = meters.counter("records_late_total");
        futureRecords = meters.rejected(Rejection.FUTURE);
        subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        shards = getRuntimeContext().getTaskInfo().getMaxNumberOfParallelSubtasks();
        int parallelism = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        targets = targets(parallelism);
        plan.starts().forEach((partition, start) -> {
            int key = KeyGroups.ofPartition(partition, shards);
            if (KeyGroupRangeAssignment.assignKeyToParallelOperator(key, shards, parallelism) == subtask) {
                partitions.computeIfAbsent(partition, none -> new ReadPartition(partition, windows, start, this));
            }
        });
        partitions.values().forEach(this::begin);
        partitions.values().forEach(this::measure);
        if (plan.handBack()) {
            return;
        }
        if (!plan.bounded()) {
            ends = new LogEnds(plan.topic(), consumer);
        }
        // An input that ends is never silent, only slow.
        arrivedMs = plan.bounded() ? Long.MAX_VALUE : System.currentTimeMillis();
        long tickMs = Math.max(1, Math.min(LONGEST_TICK_MS, plan.idleTimeoutMs() / TICKS));
        getProcessingTimeService().registerTimer(0, at -> tell());
        getProcessingTimeService().scheduleWithFixedDelay(at -> tick(), tickMs, tickMs);
    }

    /** A key for each counter. */
    private int[] targets(int parallelism) {
        int[] keys = KeyGroups.keys(shards);
        int[] found = new int[parallelism];
        for (int key : keys) {
            found[KeyGroupRangeAssignment.assignKeyToParallelOperator(key, shards, parallelism)] = key;
        }
        return found;
    }

    private void measure(ReadPartition partition) {
        Meters own = meters.with("partition", partition.number());
        own.gauge("partition_clock_timestamp_seconds", () -> partition.clock().clockMs() / SECOND_MS);
        own.gauge("records_set_aside", () -> partition.clock().setAside());
        own.gauge("partition_idle", () -> partition.isIdle() ? 1 : 0);
    }

    @Override
    public void processElement(StreamRecord<Arrival> element) {
        Arrival arrival = element.getValue();
        ReadPartition partition = partitions.get(arrival.partition());
        if (partition == null) {
            partition = new ReadPartition(arrival.partition(), windows, Start.BEGINNING, this);
            begin(partition);
            measure(partition);
        }
        boolean news = partition.take(arrival);
        if (!plan.bounded()) {
            Silence silence = silences.get(arrival.partition());
            silence.arrived(nowMs());
            silence.applied(firstAside(partition));
            arrivedMs = System.currentTimeMillis();
        }
        if (news) {
            tell();
        }
    }

    private static long firstAside(ReadPartition partition) {
        return partition.firstAside();
    }

    /** Tells how far the partitions are: first to all counters, behind the rows, then to where windows are closed. */
    private void tell() {
        number++;
        long partialThrough = Status.NONE;
        List<Status.Partition> all = new ArrayList<>();
        for (ReadPartition partition : partitions.values()) {
            all.add(partition.status());
            partialThrough = Math.max(partialThrough, partition.partialThrough());
        }
        for (int target : targets) {
            output.collect(new StreamRecord<>(new Timely.Mark(target, subtask, number)));
        }
        Status status = new Status(subtask, number, arrivedMs, ended, partialThrough, all);
        output.collect(STATUSES, new StreamRecord<>(status));
    }

    private void tick() throws Exception {
        if (ends == null) {
            return;
        }
        if (asked == null) {
            ask();
        } else if (asked.isDone()) {
            Future<LogEnds.Answer> answer = asked;
            asked = null;
            hear(answer);
        }
    }

    private void ask() {
        Map<Integer, Long> positions = new HashMap<>();
        for (ReadPartition partition : partitions.values()) {
            if (!partition.isIdle() && silences.get(partition.number()).isQuiet(believes(partition), nowMs())) {
                positions.put(partition.number(), partition.position());
            }
        }
        if (!positions.isEmpty()) {
            asked = ends.ask(positions, nowMs());
        }
    }

    private void hear(Future<LogEnds.Answer> answer) throws InterruptedException {
        LogEnds.Answer heard;
        try {
            heard = answer.get();
        } catch (java.util.concurrent.ExecutionException error) {
            LOG.warn("The ends of the input are not known: {}", error.getCause().toString());
            silences.values().forEach(Silence::unknown);
            return;
        }
        boolean news = false;
        for (Map.Entry<Integer, Boolean> one : heard.atEnd().entrySet()) {
            news |= decide(partitions.get(one.getKey()), one.getValue(), heard.askedMs());
        }
        if (news) {
            tell();
        }
    }

    private boolean decide(ReadPartition partition, boolean atEnd, long askedMs) {
        Silence silence = silences.get(partition.number());
        Silence.Decision decision = silence.confirm(atEnd, believes(partition), askedMs);
        if (decision == Silence.Decision.NOTHING) {
            return false;
        }
        if (decision == Silence.Decision.IDLE) {
            partition.becomeIdle();
        }
        partition.believe(System.currentTimeMillis());
        silence.applied(firstAside(partition));
        return partition.hasMoved() || decision == Silence.Decision.IDLE;
    }

    private static boolean believes(ReadPartition partition) {
        return partition.believes(System.currentTimeMillis());
    }

    /** Of a clock that is never set. */
    private static long nowMs() {
        return System.nanoTime() / 1_000_000;
    }

    @Override
    public void counted(Row row, long clockMs) {
        output.collect(new StreamRecord<>(new Timely.Accepted(row, clockMs)));
    }

    @Override
    public void late(Row row, long clockMs) {
        lateRecords.inc();
        output.collect(
                FACTS,
                new StreamRecord<>(new Fact.Late(row.partition(), row.offset(), row.timeMs(), clockMs, false)));
    }

    @Override
    public void future(Row row) {
        futureRecords.inc();
        output.collect(FUTURE, new StreamRecord<>(new Place(row.partition(), row.offset())));
    }

    @Override
    public void jump(int partition, long beforeMs, long timeMs) {
        LOG.warn("The clock of partition {} went from {} to {} ms at once.", partition, beforeMs, timeMs);
    }

    @Override
    public void touched(int partition, long window, Handed.Partition before) {
        output.collect(FACTS, new StreamRecord<>(new Fact.Touched(partition, window, before)));
    }

    /** Nothing was read: all that there is to say is where a daemon goes on. */
    @Override
    public void endInput() {
        if (plan.handBack()) {
            partitions.values().forEach(partition ->
                    output.collect(FACTS, new StreamRecord<>(new Fact.Held(partition.number(), partition.held()))));
        }
    }

    /** The log is read to its end: unless windows are to stay open, what is set aside is decided and they close. */
    @Override
    public void processWatermark(Watermark watermark) {
        if (!watermark.equals(Watermark.MAX_WATERMARK) || ended || plan.keepOpen() || plan.handBack()) {
            return;
        }
        for (ReadPartition partition : partitions.values()) {
            partition.end();
        }
        ended = true;
        tell();
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        for (ReadPartition partition : partitions.values()) {
            setCurrentKey(KeyGroups.ofPartition(partition.number(), shards));
            state.update(partition.toBytes());
        }
    }

    @Override
    public void close() throws Exception {
        if (ends != null) {
            ends.close();
        }
        super.close();
    }
}
