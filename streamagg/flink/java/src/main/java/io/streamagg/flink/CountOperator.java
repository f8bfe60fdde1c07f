package io.streamagg.flink;

import io.streamagg.core.Calendars;
import io.streamagg.core.DecodeSettings;
import io.streamagg.core.JobSettings;
import io.streamagg.core.Period;
import io.streamagg.core.PeriodGain;
import io.streamagg.core.Row;
import io.streamagg.core.SettingsException;
import io.streamagg.core.WindowSettings;
import io.streamagg.core.Windows;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Properties;
import java.util.Queue;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.BasicTypeInfo;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * Counts the rows of its shards of users in the open windows, and hands on what these come to when they close.
 *
 * <p>What it works on is on the heap. At a checkpoint the windows of a shard that have changed are written into keyed
 * state, by shard, so that a job may be continued with another parallelism.
 *
 * <p>A checkpoint finds every counter at the same place: all that was sent before it has come, and so all marks that
 * the decisions before it wait for. So none of these waits any more, and the same windows are closed everywhere.
 */
final class CountOperator extends AbstractStreamOperator<Fact>
        implements TwoInputStreamOperator<Timely, Close, Fact>, BoundedMultiInput {
    static final OutputTag<Outgoing> STATE = new OutputTag<>("state", Outgoing.TYPE);
    private static final long serialVersionUID = 1;

    private final Windows windows;
    private final WindowSettings settings;
    private final DecodeSettings decode;
    private final JobSettings job;
    private final Properties consumer;
    private final int clocks;
    private final int shards;
    private transient int[] keys;
    private transient NavigableMap<Long, Shard[]> open;
    private transient long closedThrough;
    private transient long[] marks;
    private transient Queue<Close> waiting;
    private transient Calendars calendars;
    private transient OpenPeriods periods;
    private transient MapState<Long, byte[]> state;
    private transient MapState<String, byte[]> periodState;
    private transient ListState<Long> closed;
    private transient int inputs;
    private transient Counter counted;
    private transient Counter closedEarly;

    /** What the users of a shard come to in one window. */
    private static final class Shard {
        final Tallies tallies;
        boolean changed;
        boolean kept;

        Shard(Tallies tallies, boolean kept) {
            this.tallies = tallies;
            this.kept = kept;
        }
    }

    /**
     * {@code consumer}: properties of one that reads the state topic; {@code clocks}: how many subtasks send marks;
     * {@code shards}: as many as there are key groups.
     */
    CountOperator(JobSettings job, Properties consumer, int clocks, int shards) {
        this.job = job;
        this.consumer = consumer;
        settings = job.window();
        windows = Windows.of(settings);
        decode = job.decode();
        this.clocks = clocks;
        this.shards = shards;
    }

    /** Which shard a row belongs to: all of a user to the same one. */
    static int shard(Row row, boolean countsUsers, int shards) {
        long hash = countsUsers ? row.user() : row.offset() * 0x9E3779B97F4A7C15L;
        return PeriodGain.shard(hash, shards);
    }

    @Override
    public boolean hasKeyContext1() {
        return false;
    }

    @Override
    public boolean hasKeyContext2() {
        return false;
    }

    @Override
    @SuppressWarnings("rawtypes")
    public void setKeyContextElement1(StreamRecord record) {
        // Keyed state is looked at for checkpoints and windows, not for records.
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        open = new TreeMap<>();
        keys = KeyGroups.keys(shards);
        state = context.getKeyedStateStore().getMapState(new MapStateDescriptor<>(
                "windows", BasicTypeInfo.LONG_TYPE_INFO, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        calendars = new Calendars(settings);
        periods = new OpenPeriods(calendars, decode, shards);
        periodState = context.getKeyedStateStore().getMapState(new MapStateDescriptor<>(
                "periods", BasicTypeInfo.STRING_TYPE_INFO, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        closed = context.getOperatorStateStore()
                .getUnionListState(new ListStateDescriptor<>("closed", BasicTypeInfo.LONG_TYPE_INFO));
        closedThrough = Long.MIN_VALUE;
        for (long window : closed.get()) {
            closedThrough = Math.max(closedThrough, window);
        }
        if (context.isRestored()) {
            restore();
        } else if (job.handed() != null && job.handed().publishedThrough() != null) {
            takeOver(job.handed().publishedThrough());
        }
    }

    /** Goes on where a daemon has published windows up to one: with the open periods of its state topic. */
    private void takeOver(long publishedThrough) {
        closedThrough = publishedThrough;
        if (settings.calendars().isEmpty()) {
            return;
        }
        int counters = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        int counter = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        IntPredicate ours = shard ->
                KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup(shards, counters, shard) == counter;
        try {
            new StateTopic(job.stateTopic(), consumer)
                    .read(windows.startMs(publishedThrough + 1), periods.taking(ours));
        } catch (SettingsException refusal) {
            throw new SuppressRestartsException(refusal);
        }
    }

    private void restore() throws Exception {
        for (int number : shardsIn("windows")) {
            setCurrentKey(keys[number]);
            for (Map.Entry<Long, byte[]> window : state.entries()) {
                Shard shard = new Shard(Tallies.read(window.getValue(), decode), true);
                open.computeIfAbsent(window.getKey(), none -> new Shard[shards])[number] = shard;
            }
        }
        for (int number : shardsIn("periods")) {
            for (Map.Entry<String, byte[]> segment : periodsOf(number).entries()) {
                periods.restore(number, segment.getKey(), segment.getValue());
            }
        }
    }

    /** Shards of which a state holds something. */
    private List<Integer> shardsIn(String name) {
        Map<Integer, Integer> shardOf = new TreeMap<>();
        for (int shard = 0; shard < shards; shard++) {
            shardOf.put(keys[shard], shard);
        }
        try (var stream = this.<Integer>getKeyedStateBackend().getKeys(name, VoidNamespace.INSTANCE)) {
            return stream.map(shardOf::get).toList();
        }
    }

    private MapState<String, byte[]> periodsOf(int shard) {
        setCurrentKey(keys[shard]);
        return periodState;
    }

    @Override
    public void open() throws Exception {
        super.open();
        marks = new long[clocks];
        waiting = new ArrayDeque<>();
        Meters meters = new Meters(getRuntimeContext());
        counted = meters.counter("records_counted_total");
        closedEarly = meters.counter("records_closed_early_total");
        meters.gauge("windows_open", () -> open.size());
        meters.gauge("periods_open", () -> periods.size());
    }

    @Override
    public void processElement1(StreamRecord<Timely> element) throws Exception {
        if (element.getValue() instanceof Timely.Accepted accepted) {
            count(accepted);
        } else if (element.getValue() instanceof Timely.Mark mark) {
            marks[mark.clock()] = mark.number();
            closeWhatMay();
        }
    }

    @Override
    public void processElement2(StreamRecord<Close> element) throws Exception {
        waiting.add(element.getValue());
        closeWhatMay();
    }

    private void count(Timely.Accepted accepted) {
        Row row = accepted.row();
        long window = windows.number(row.timeMs());
        if (window <= closedThrough) {
            closedEarly.inc();
            emit(new Fact.Late(row.partition(), row.offset(), row.timeMs(), accepted.clockMs(), true));
            return;
        }
        Shard[] all = open.computeIfAbsent(window, none -> new Shard[shards]);
        int number = shard(row, decode.countsUsers(), shards);
        if (all[number] == null) {
            all[number] = new Shard(new Tallies(decode), false);
        }
        all[number].tallies.add(row);
        all[number].changed = true;
        counted.inc();
    }

    private void closeWhatMay() throws Exception {
        while (!waiting.isEmpty() && haveCome(waiting.peek().numbers())) {
            close(waiting.remove());
        }
    }

    private boolean haveCome(long[] numbers) {
        for (int clock = 0; clock < numbers.length; clock++) {
            if (marks[clock] < numbers[clock]) {
                return false;
            }
        }
        return true;
    }

    private void close(Close close) throws Exception {
        long watermarkMs = close.watermarkMs();
        long last = windows.lastClosed(watermarkMs);
        while (!open.isEmpty() && open.firstKey() <= last) {
            Map.Entry<Long, Shard[]> window = open.pollFirstEntry();
            emit(new Fact.Share(window.getKey(), Fact.WINDOW, summary(window.getKey(), window.getValue()).toBytes()));
        }
        for (OpenPeriods.Ended ended : periods.end(last, this::periodsOf)) {
            emit(new Fact.Share(ended.key().lastWindow(), ended.key().calendar(), ended.summary().toBytes()));
        }
        closedThrough = Math.max(closedThrough, last);
        int counter = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        emit(new Fact.Closed(counter, watermarkMs, close.partialThrough()));
    }

    /** Of all shards together, in which there are different users. */
    private Tallies summary(long window, Shard[] all) throws Exception {
        Tallies sum = new Tallies(decode);
        sum.seal();
        for (int number = 0; number < shards; number++) {
            Shard shard = all[number];
            if (shard == null) {
                continue;
            }
            if (shard.kept) {
                setCurrentKey(keys[number]);
                state.remove(window);
            }
            periods.add(window, number, shard.tallies);
            shard.tallies.seal();
            sum.merge(shard.tallies);
        }
        return sum;
    }

    private void emit(Fact fact) {
        output.collect(new StreamRecord<>(fact));
    }

    /** Nothing was read: the open periods go to the state topic, for a daemon to go on with them. */
    @Override
    public void endInput(int input) {
        inputs++;
        if (!job.handBack() || inputs < 2) {
            return;
        }
        String session = job.session() + "-" + getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        for (OpenPeriods.Key key : periods.keys()) {
            Period period = calendars.period(key.calendar(), key.lastWindow());
            String name = period.calendar() + " " + period.startMs() + " " + session + " ";
            List<byte[]> values = periods.values(key);
            for (int number = 0; number < values.size(); number++) {
                byte[] place = (name + number).getBytes(StandardCharsets.UTF_8);
                Outgoing outgoing = new Outgoing(job.stateTopic(), place, values.get(number));
                output.collect(STATE, new StreamRecord<>(outgoing));
            }
            emit(new Fact.Kept(key.calendar(), period.startMs(), session, values.size(), periods.users(key)));
        }
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        for (Map.Entry<Long, Shard[]> window : open.entrySet()) {
            for (int number = 0; number < shards; number++) {
                keep(window.getKey(), number, window.getValue()[number]);
            }
        }
        periods.keep(this::periodsOf);
        closed.update(List.of(closedThrough));
    }

    private void keep(long window, int number, Shard shard) throws Exception {
        if (shard == null || !shard.changed) {
            return;
        }
        setCurrentKey(keys[number]);
        state.put(window, shard.tallies.toBytes());
        shard.kept = true;
        shard.changed = false;
    }

    @Override
    public void processWatermark(Watermark watermark) {
        // Time goes by what the clocks say.
    }

    @Override
    public void processWatermark1(Watermark watermark) {
        // The same.
    }

    @Override
    public void processWatermark2(Watermark watermark) {
        // The same.
    }
}
