package io.streamagg.flink;

import io.streamagg.core.Windows;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** Tells all counters when windows close; there is one of it. It is told everything anew after a restart. */
final class ProgressOperator extends AbstractStreamOperator<Close>
        implements OneInputStreamOperator<Status, Close> {
    private static final long serialVersionUID = 1;
    private static final long TICK_MS = 100;

    private final Windows windows;
    private final int clocks;
    private transient Progress progress;
    private transient long watermarkMs;

    ProgressOperator(Windows windows, int clocks) {
        this.windows = windows;
        this.clocks = clocks;
    }

    @Override
    public void open() throws Exception {
        super.open();
        progress = new Progress(windows, clocks);
        new Meters(getRuntimeContext()).gauge("watermark_timestamp_seconds", () -> watermarkMs / 1e3);
        getProcessingTimeService().scheduleWithFixedDelay(at -> advance(), TICK_MS, TICK_MS);
    }

    @Override
    public void processElement(StreamRecord<Status> element) {
        progress.take(element.getValue());
        advance();
    }

    private void advance() {
        Close close = progress.advance(System.currentTimeMillis());
        if (close != null) {
            watermarkMs = close.watermarkMs();
            output.collect(new StreamRecord<>(close));
        }
    }

    @Override
    public void processWatermark(Watermark watermark) {
        // Time goes by what the clocks say.
    }
}
