package io.streamagg.core;

import java.util.ArrayList;
import java.util.List;

/** The measures beside users and records, by the settings. */
final class Measures {
    private Measures() {}

    /** Empty ones, in the order of the settings. */
    static List<Accumulator> of(DecodeSettings settings) {
        List<ValueColumn> columns = ValueColumn.of(settings.measures());
        List<Accumulator> measures = new ArrayList<>();
        for (MeasureSettings measure : settings.measures()) {
            measures.add(of(measure.op(), columns.indexOf(ValueColumn.of(measure))));
        }
        return measures;
    }

    private static Accumulator of(MeasureSettings.Op op, int cell) {
        return switch (op) {
            case COUNT -> new CountAccumulator(cell);
            case SUM -> new SumAccumulator(cell, false);
            case AVG -> new SumAccumulator(cell, true);
            case MIN -> new ExtremeAccumulator(cell, false);
            case MAX -> new ExtremeAccumulator(cell, true);
            case FIRST -> new EndAccumulator(cell, false);
            case LAST -> new EndAccumulator(cell, true);
            case UNIQUES -> new DistinctAccumulator(cell);
        };
    }
}
