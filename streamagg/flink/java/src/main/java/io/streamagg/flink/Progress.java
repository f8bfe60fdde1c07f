package io.streamagg.flink;

import io.streamagg.core.Windows;
import java.util.ArrayList;
import java.util.List;

/**
 * The watermark: the least clock of all partitions that are not idle. Pure; what the sequencer of streamagg decides
 * (docs/design.md).
 *
 * <p>Flink's own watermarks would not do. A subtask that was idle and is back behind the others is ignored by Flink
 * until it has caught up; here it holds the watermark, so that what it still has to say is counted.
 */
final class Progress {
    private final Windows windows;
    private final Status[] statuses;
    private long watermarkMs = Status.NONE;

    Progress(Windows windows, int clocks) {
        this.windows = windows;
        statuses = new Status[clocks];
    }

    void take(Status status) {
        statuses[status.clock()] = status;
    }

    /** What follows from it; null: nothing new. */
    Close advance(long nowMs) {
        long reached = reached(nowMs);
        if (reached == Status.NONE || reached <= watermarkMs) {
            return null;
        }
        watermarkMs = reached;
        long[] numbers = new long[statuses.length];
        long partialThrough = Status.NONE;
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = statuses[i].number();
            partialThrough = Math.max(partialThrough, statuses[i].partialThrough());
        }
        return new Close(reached, partialThrough, numbers);
    }

    private long reached(long nowMs) {
        List<Status.Partition> all = new ArrayList<>();
        boolean ended = true;
        long arrivedMs = Status.NONE;
        for (Status status : statuses) {
            if (status == null) {
                return Status.NONE;
            }
            all.addAll(status.partitions());
            ended &= status.ended();
            arrivedMs = Math.max(arrivedMs, status.arrivedMs());
        }
        if (ended) {
            return runOn(all, Long.MAX_VALUE);
        }
        long least = all.stream().filter(one -> !one.idle()).mapToLong(Status.Partition::clockMs).min().orElse(Long.MAX_VALUE);
        return least == Long.MAX_VALUE ? runOn(all, Math.max(0, nowMs - arrivedMs)) : least;
    }

    /** All are idle: time goes on by the wall clock, as far as it takes to close what is open; at the end at once. */
    private long runOn(List<Status.Partition> all, long silentMs) {
        long clock = all.stream().mapToLong(Status.Partition::clockMs).max().orElse(Status.NONE);
        if (clock == Status.NONE) {
            return Status.NONE;
        }
        long greatest = all.stream().mapToLong(Status.Partition::greatestMs).max().orElse(Status.NONE);
        long needed = greatest == Status.NONE ? clock : windows.closesAtMs(windows.number(greatest));
        return Math.max(clock, silentMs >= needed - clock ? needed : clock + silentMs);
    }
}
