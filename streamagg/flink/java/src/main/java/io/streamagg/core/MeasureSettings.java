package io.streamagg.core;

import java.io.Serializable;

/** A measure beside users and records: {@code NAME=OP(PATH)}. */
public record MeasureSettings(String name, Op op, String path) implements Serializable {
    /** What is made of the values. */
    public enum Op { COUNT, SUM, AVG, MIN, MAX, FIRST, LAST, UNIQUES }

    /** Values are taken as hashes of ids, and not as numbers. */
    public boolean hashed() {
        return op == Op.UNIQUES;
    }

    static MeasureSettings of(Fields fields) {
        return new MeasureSettings(
                fields.text("name"), Choice.of(Op.class, "op", fields.text("op")), fields.text("path"));
    }
}
