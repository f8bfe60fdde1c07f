package io.streamagg.core;

import java.io.Serializable;

/** A calendar: {@code hour}, {@code day}, {@code week}, {@code month}, {@code year}, or another name and a length. */
public record CalendarSettings(String name, long lengthMs) implements Serializable {
    static CalendarSettings of(Fields fields) {
        return new CalendarSettings(fields.text("name"), fields.integer("length_ms"));
    }
}
