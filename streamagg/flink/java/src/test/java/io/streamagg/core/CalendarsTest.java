package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class CalendarsTest {
    @Test
    void timesLieInThePeriodsThatTheyDoInPython() {
        long count = Conformance.lines("periods").peek(CalendarsTest::check).filter(line -> true).count();
        assertTrue(count > 50);
    }

    @Test
    void aZoneWhoseClockGoesOtherwiseIsRefused() {
        WindowSettings settings = new WindowSettings(
                60_000, 0, 0, 1, false, List.of(new CalendarSettings("day", 0)), "Europe/Berlin", "0123456789ab");
        assertThrows(SettingsException.class, () -> new Calendars(settings));
    }

    private static void check(Fields line) {
        WindowSettings settings = WindowSettings.of(line.object("settings"));
        Calendars calendars = new Calendars(settings);
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
    }
}
