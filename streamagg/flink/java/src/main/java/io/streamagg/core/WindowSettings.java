package io.streamagg.core;

import java.io.Serializable;
import java.util.List;

/** What shapes the windows: {@code WindowSettings} of streamagg/model/settings.py, under the same names. */
public record WindowSettings(
        long granularityMs,
        long offsetMs,
        long maxLagMs,
        long maxJumpMs,
        boolean emptyWindows,
        List<CalendarSettings> calendars,
        String timeZone,
        String zoneData)
        implements Serializable {

    static WindowSettings of(Fields fields) {
        return new WindowSettings(
                fields.integer("granularity_ms"),
                fields.integer("offset_ms"),
                fields.integer("max_lag_ms"),
                fields.integer("max_jump_ms"),
                fields.flag("empty_windows"),
                fields.objects("calendars", CalendarSettings::of),
                fields.text("time_zone"),
                fields.text("zone_data"));
    }
}
