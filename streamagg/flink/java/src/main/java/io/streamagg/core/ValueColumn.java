package io.streamagg.core;

import java.util.List;
import java.util.stream.Collectors;

/**
 * A field whose values measures take: as numbers, or as hashes of ids. Measures of the same field share a column.
 */
public record ValueColumn(String path, boolean hashed) {
    /** In the order of their first use. */
    public static List<ValueColumn> of(List<MeasureSettings> measures) {
        return measures.stream().map(ValueColumn::of).distinct().collect(Collectors.toUnmodifiableList());
    }

    /** The column that a measure takes. */
    public static ValueColumn of(MeasureSettings measure) {
        return new ValueColumn(measure.path(), measure.hashed());
    }

    /** As in metrics. */
    public String name() {
        return (hashed ? "hash:" : "number:") + path;
    }
}
