package io.streamagg.flink;

import io.streamagg.core.Rejection;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;

/**
 * Metrics under the names of docs/metrics.md without their {@code streamagg_}, which the group they are in adds; what
 * is counted is part of the job's result too.
 */
final class Meters {
    private static final String GROUP = "streamagg";

    private final RuntimeContext context;
    private final MetricGroup group;

    Meters(RuntimeContext context) {
        this(context, context.getMetricGroup().addGroup(GROUP));
    }

    private Meters(RuntimeContext context, MetricGroup group) {
        this.context = context;
        this.group = group;
    }

    /** The same with a label. */
    Meters with(String label, Object value) {
        return new Meters(context, group.addGroup(label, value.toString()));
    }

    /** The result has the sum over all labels. */
    Counter counter(String name) {
        return group.counter(name, new Counted(context, name));
    }

    Counter rejected(Rejection reason) {
        return with("reason", reason.reason()).counter("records_rejected_total");
    }

    <T extends Number> void gauge(String name, Gauge<T> gauge) {
        group.gauge(name, gauge);
    }

    /** A counter of Flink's metrics that is an accumulator of the job as well. */
    private static final class Counted implements Counter {
        private final LongCounter sum;
        private long count;

        Counted(RuntimeContext context, String name) {
            LongCounter known = context.<Long, Long>getAccumulator(name) instanceof LongCounter counter ? counter : null;
            sum = known == null ? new LongCounter() : known;
            if (known == null) {
                context.addAccumulator(name, sum);
            }
        }

        @Override
        public void inc() {
            inc(1);
        }

        @Override
        public void inc(long n) {
            count += n;
            sum.add(n);
        }

        @Override
        public void dec() {
            inc(-1);
        }

        @Override
        public void dec(long n) {
            inc(-n);
        }

        @Override
        public long getCount() {
            return count;
        }
    }
}
