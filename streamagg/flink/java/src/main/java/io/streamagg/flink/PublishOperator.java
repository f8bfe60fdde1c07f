package io.streamagg.flink;

import io.streamagg.core.Calendars;
import io.streamagg.core.CeilingSettings;
import io.streamagg.core.Counted;
import io.streamagg.core.Group;
import io.streamagg.core.Handed;
import io.streamagg.core.JobSettings;
import io.streamagg.core.JsonRecords;
import io.streamagg.core.Period;
import io.streamagg.core.Row;
import io.streamagg.core.SettingsException;
import io.streamagg.core.WindowTable;
import io.streamagg.core.Windows;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.flink.api.common.accumulators.ListAccumulator;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** Puts the shares of a window together, and publishes windows in order; there is one of it. */
final class PublishOperator extends AbstractStreamOperator<Outgoing>
        implements OneInputStreamOperator<Fact, Outgoing>, BoundedOneInput {
    private static final long serialVersionUID = 1;
    private static final long NONE = Long.MIN_VALUE;
    private static final double SECOND_MS = 1e3;
    private static final long[] NO_CELLS = {};

    private final JobSettings settings;
    private final Windows windows;
    private final Properties consumer;
    private final int counters;
    private transient JsonRecords records;
    private transient Calendars calendars;
    private transient NavigableMap<OpenPeriods.Key, Tallies> shares;
    private transient long partialThrough;
    /** By counter: up to where it has closed windows, since this was begun. */
    private transient long[] reached;
    private transient long publishedThrough;
    private transient long closedThrough;
    private transient HandOver handOver;
    private transient ListState<byte[]> state;
    private transient Counter published;
    private transient WindowTable last;
    private transient Presence presence;

    /** {@code consumer}: properties of one; {@code counters}: how many subtasks hand on shares. */
    PublishOperator(JobSettings settings, Properties consumer, int counters) {
        this.settings = settings;
        this.consumer = consumer;
        this.counters = counters;
        windows = Windows.of(settings.window());
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        shares = new TreeMap<>();
        partialThrough = NONE;
        publishedThrough = takenOver();
        closedThrough = publishedThrough;
        handOver = new HandOver();
        reached = new long[counters];
        Arrays.fill(reached, NONE);
        state = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>(
                        "publisher", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        for (byte[] kept : state.get()) {
            restore(kept);
        }
    }

    private long takenOver() {
        Handed handed = settings.handed();
        return handed == null || handed.publishedThrough() == null ? NONE : handed.publishedThrough();
    }

    @Override
    public void open() throws Exception {
        super.open();
        calendars = new Calendars(settings.window());
        records = new JsonRecords(settings.window(), settings.decode());
        if (!settings.handBack()) {
            presence = new Presence(settings.input(), consumer);
        }
        Meters meters = new Meters(getRuntimeContext());
        published = meters.counter("windows_published_total");
        meters.gauge("last_window_start_timestamp_seconds", () -> last == null ? 0 : last.startMs() / SECOND_MS);
        meters.gauge("last_window_records", () -> last == null ? 0 : last.all().records());
        meters.gauge("last_window_unique_users", () -> last == null || last.all().users() == null ? 0 : last.all().users());
    }

    @Override
    public void close() throws Exception {
        if (presence != null) {
            presence.close();
        }
        super.close();
    }

    @Override
    public void processElement(StreamRecord<Fact> element) {
        Fact fact = element.getValue();
        if (fact instanceof Fact.Share share) {
            Tallies tallies = Tallies.read(share.summary(), settings.decode());
            shares.merge(new OpenPeriods.Key(share.window(), share.calendar()), tallies, Tallies::merged);
        } else if (fact instanceof Fact.Closed closed) {
            partialThrough = Math.max(partialThrough, closed.partialThrough());
            reached[closed.counter()] = closed.watermarkMs();
            publish(Arrays.stream(reached).min().orElseThrow());
        } else if (fact instanceof Fact.Late late && settings.lateTopic() != null) {
            Row row = new Row(late.partition(), late.offset(), late.timeMs(), 0, null, NO_CELLS);
            emit(settings.lateTopic(), records.late(settings.input(), row, late.clockMs(), late.closedEarly()));
        } else {
            note(fact);
        }
    }

    private void note(Fact fact) {
        if (fact instanceof Fact.Touched touched && touched.window() > closedThrough) {
            handOver.take(touched);
        } else if (fact instanceof Fact.Held held) {
            handOver.take(held);
        } else if (fact instanceof Fact.Kept kept) {
            handOver.take(kept);
        }
    }

    /** Nothing was read: says where a daemon is to go on. */
    @Override
    public void endInput() {
        if (settings.handBack()) {
            // The windows without records behind the last one are published with the next one that has some.
            long through = settings.window().emptyWindows() ? publishedThrough : closedThrough;
            ListAccumulator<String> told = new ListAccumulator<>();
            told.add(handOver.handed(through == NONE ? null : (Long) through).toJson(settings.decode()));
            getRuntimeContext().addAccumulator("handed", told);
        }
    }

    @Override
    public void processWatermark(Watermark watermark) {
        // Time goes by what the clocks say.
    }

    private void publish(long watermarkMs) {
        if (watermarkMs == NONE) {
            return;
        }
        while (!shares.isEmpty() && windows.closesAtMs(shares.firstKey().lastWindow()) <= watermarkMs) {
            Map.Entry<OpenPeriods.Key, Tallies> share = shares.pollFirstEntry();
            if (share.getKey().calendar() == Fact.WINDOW) {
                publishWindow(share.getKey().lastWindow(), share.getValue());
            } else {
                publishPeriod(share.getKey(), share.getValue());
            }
        }
        closedThrough = Math.max(closedThrough, windows.lastClosed(watermarkMs));
        handOver.close(closedThrough);
    }

    /** Those that nobody hit, between the one published last and this one. */
    private void publishEmpty(long next) {
        if (!settings.window().emptyWindows() || publishedThrough == NONE) {
            return;
        }
        for (long window = publishedThrough + 1; window < next; window++) {
            publish(table(windows.startMs(window), window, new Tallies(settings.decode()), null));
        }
    }

    private void publishWindow(long window, Tallies tallies) {
        publishEmpty(window);
        publish(table(windows.startMs(window), window, tallies, null));
        publishedThrough = window;
    }

    private void publishPeriod(OpenPeriods.Key key, Tallies tallies) {
        Period period = calendars.period(key.calendar(), key.lastWindow());
        WindowTable table = table(period.startMs(), windows.number(period.startMs()), tallies, period);
        records.render(table, record -> emit(settings.output(), record));
    }

    private void publish(WindowTable table) {
        last = table;
        records.render(table, record -> emit(settings.output(), record));
        published.inc();
    }

    /** {@code first}: the window, or the first one of the period. */
    private WindowTable table(long startMs, long first, Tallies tallies, Period period) {
        CeilingSettings ceiling = settings.ceiling();
        Counted all = Counted.of(tallies.all());
        boolean partial = first <= partialThrough;
        if (ceiling.maxUsers() != null && all.users() != null && all.users() > ceiling.maxUsers()) {
            throw refusal(startMs, ceiling.maxUsers() + " users", "--max-users");
        }
        if (!settings.decode().grouped()) {
            return WindowTable.plain(startMs, partial, all, period);
        }
        if (tallies.dropped() || tallies.groups().size() > ceiling.maxGroups()) {
            if (ceiling.aboveGroups() == CeilingSettings.AboveGroups.STOP) {
                throw refusal(startMs, ceiling.maxGroups() + " groups", "--max-groups");
            }
            return WindowTable.totals(startMs, partial, all, period);
        }
        List<Group> groups = tallies.groups().entrySet().stream()
                .map(group -> new Group(group.getKey().text(), Counted.of(group.getValue())))
                .toList();
        return WindowTable.grouped(startMs, partial, all, groups, ceiling.top(), period);
    }

    /** To begin again would not help. */
    private static RuntimeException refusal(long startMs, String most, String flag) {
        return new SuppressRestartsException(new CeilingReached("The window or period that begins at "
                + Instant.ofEpochMilli(startMs) + " has more than " + most
                + ", so neither it nor a later one is published. Continue with a higher " + flag + "."));
    }

    private void emit(String topic, io.streamagg.core.Published record) {
        output.collect(new StreamRecord<>(new Outgoing(topic, record.key(), record.value())));
    }

    /** All settings that shape counts. */
    private String shape() {
        return settings.window().toString()
                + settings.decode().groupBy() + settings.decode().measures() + settings.decode().timeField()
                + settings.decode().userField() + settings.decode().timeUnit()
                + Long.hashCode(settings.decode().hashSeed() * 0x9E3779B97F4A7C15L);
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeUTF(shape());
            out.writeLong(partialThrough);
            out.writeLong(publishedThrough);
            out.writeLong(closedThrough);
            handOver.write(out);
            out.writeInt(shares.size());
            for (Map.Entry<OpenPeriods.Key, Tallies> share : shares.entrySet()) {
                out.writeLong(share.getKey().lastWindow());
                out.writeInt(share.getKey().calendar());
                Bytes.write(share.getValue().toBytes(), out);
            }
        }
        state.update(List.of(bytes.toByteArray()));
    }

    private void restore(byte[] kept) throws IOException {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(kept))) {
            if (!in.readUTF().equals(shape())) {
                throw new SuppressRestartsException(new SettingsException("The savepoint was made with other settings"
                        + " (windows or fields), so its counts cannot be continued: restore them, or start anew."));
            }
            partialThrough = in.readLong();
            publishedThrough = in.readLong();
            closedThrough = in.readLong();
            handOver = HandOver.read(in);
            for (int count = in.readInt(); count > 0; count--) {
                OpenPeriods.Key key = new OpenPeriods.Key(in.readLong(), in.readInt());
                shares.put(key, Tallies.read(Bytes.read(in), settings.decode()));
            }
        }
    }
}
