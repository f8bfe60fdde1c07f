package io.streamagg.flink;

import java.io.Serializable;
import java.util.Map;

/**
 * What the clocks are to do.
 *
 * @param starts by partition of the input
 * @param bounded the input ends: nothing is silent then
 * @param keepOpen at the end of the input, windows stay open
 * @param handBack nothing is read: they only say where a daemon is to go on
 */
record ClockPlan(
        String topic,
        Map<Integer, Start> starts,
        long idleTimeoutMs,
        boolean bounded,
        boolean keepOpen,
        boolean handBack)
        implements Serializable {}
