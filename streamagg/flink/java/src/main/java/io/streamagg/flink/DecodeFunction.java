package io.streamagg.flink;

import io.streamagg.core.DecodeSettings;
import io.streamagg.core.Decoder;
import io.streamagg.core.Rejection;
import io.streamagg.core.Row;
import java.util.EnumMap;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.metrics.Counter;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Decodes records; rejected ones go to the dead letters. */
final class DecodeFunction extends ProcessFunction<Input, Arrival> {
    static final OutputTag<Letter> LETTERS = new OutputTag<>("letters", Letter.TYPE);
    private static final long serialVersionUID = 1;

    private final DecodeSettings settings;
    private final long maxJumpMs;
    private final boolean letters;
    private transient Decoder decoder;
    private transient Counter records;
    private transient Map<Rejection, Counter> rejected;
    private transient Counter[] ignored;

    DecodeFunction(DecodeSettings settings, long maxJumpMs, boolean letters) {
        this.settings = settings;
        this.maxJumpMs = maxJumpMs;
        this.letters = letters;
    }

    @Override
    public void open(OpenContext context) {
        decoder = new Decoder(settings);
        Meters meters = new Meters(getRuntimeContext());
        records = meters.counter("records_consumed_total");
        rejected = new EnumMap<>(Rejection.class);
        for (Rejection reason : Rejection.values()) {
            rejected.put(reason, meters.rejected(reason));
        }
        ignored = decoder.columns().stream()
                .map(column -> meters.with("measure", column.name()).counter("values_ignored_total"))
                .toArray(Counter[]::new);
    }

    @Override
    public void processElement(Input input, Context context, Collector<Arrival> out) {
        int partition = input.record().partition();
        long offset = input.record().offset();
        records.inc();
        Row row = decoder.decode(input.record().value(), partition, offset);
        if (row == null) {
            reject(input, context);
        } else {
            countIgnored(decoder.ignored());
        }
        boolean live = row != null && input.isLive(row.timeMs(), maxJumpMs);
        out.collect(new Arrival(partition, offset, row, live));
    }

    private void reject(Input input, Context context) {
        Rejection reason = decoder.rejection();
        rejected.get(reason).inc();
        if (letters) {
            context.output(LETTERS, input.letter(reason.reason()));
        }
    }

    private void countIgnored(int bits) {
        for (int left = bits; left != 0; left &= left - 1) {
            ignored[Integer.numberOfTrailingZeros(left)].inc();
        }
    }
}
