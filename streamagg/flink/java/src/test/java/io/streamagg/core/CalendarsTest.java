package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class CalendarsTest {
    @Test
    void timesLieInThePeriodsThatTheyDoInPython() {
        List<Boolean> alike = new ArrayList<>();
        Conformance.each("periods", 50, line -> alike.add(check(line)));
        int others = Collections.frequency(alike, false);
        assertTrue(others * 10 <= alike.size(), () -> others + " zones go otherwise.");
    }

    @Test
    void aZoneWhoseClockGoesOtherwiseIsRefused() {
        WindowSettings settings = new WindowSettings(
                60_000, 0, 0, 1, false, List.of(new CalendarSettings("day", 0)), "Europe/Berlin", "0123456789ab");
        assertThrows(SettingsException.class, () -> new Calendars(settings));
    }

    /** False where this Java has other data of the zone than Python has. */
    private static boolean check(Fields line) {
        WindowSettings settings = WindowSettings.of(line.object("settings"));
        Calendars calendars;
        try {
            calendars = new Calendars(settings);
        } catch (SettingsException refused) {
            return false;
        }
        for (Object told : line.values("periods")) {
            List<?> timeAndPeriods = (List<?>) told;
            long timeMs = Fields.number(timeAndPeriods.get(0));
            List<?> periods = (List<?>) timeAndPeriods.get(1);
            for (int i = 0; i < calendars.count(); i++) {
                Period found = calendars.periodAt(i, timeMs);
                assertEquals(
                        periods.get(i).toString(),
                        List.of(found.startMs(), found.endMs()).toString(),
                        () -> settings.timeZone() + " " + found.calendar() + " " + timeMs);
            }
        }
        return true;
    }
}
