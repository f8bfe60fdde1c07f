package io.streamagg.core;

import java.time.DayOfWeek;
import java.time.LocalDate;
import java.time.temporal.TemporalAdjusters;
import java.util.List;

/**
 * Hours, days, weeks, months and years of a time zone, and periods that are all equally long, by the rules of
 * streamagg/core/calendars.py. Callers count calendars from 0.
 */
public final class Calendars {
    private static final long HOUR_MS = 3_600_000;

    private final Windows windows;
    private final ZoneClock clock;
    private final List<CalendarSettings> calendars;
    /** By calendar; nearly always the one that is asked for. */
    private final Period[] recent;

    /** Throws SettingsException if the clock of the zone goes otherwise here than where the settings were made. */
    public Calendars(WindowSettings settings) {
        windows = Windows.of(settings);
        clock = new ZoneClock(settings.timeZone());
        calendars = settings.calendars();
        recent = new Period[calendars.size()];
        String known = settings.zoneData();
        if (!calendars.isEmpty() && !known.isEmpty() && !known.equals(clock.digest())) {
            throw new SettingsException("The data of the time zone " + settings.timeZone()
                    + " of this Java are others than those of streamagg: update one of them.");
        }
    }

    /** By its name; throws SettingsException. */
    public int number(String name) {
        for (int calendar = 0; calendar < calendars.size(); calendar++) {
            if (calendars.get(calendar).name().equals(name)) {
                return calendar;
            }
        }
        throw new SettingsException("The state topic holds a period of " + name + ", which is no calendar here.");
    }

    public int count() {
        return recent.length;
    }

    /** The period of a calendar that a window lies in, which is that of its start. */
    public Period period(int calendar, long window) {
        return periodAt(calendar, windows.startMs(window));
    }

    /** The period of a calendar that a time lies in. */
    public Period periodAt(int calendar, long timeMs) {
        Period period = recent[calendar];
        if (period == null || timeMs < period.startMs() || timeMs >= period.endMs()) {
            period = lookedUp(calendars.get(calendar), timeMs);
            recent[calendar] = period;
        }
        return period;
    }

    /** The last window of a period: with it the period is over. */
    public long lastWindow(Period period) {
        return windows.number(period.endMs() - 1);
    }

    private Period lookedUp(CalendarSettings calendar, long timeMs) {
        String name = calendar.name();
        return switch (name) {
            case "hour" -> new Period(name, hourBeganMs(timeMs), hourEndsMs(timeMs));
            case "day", "week", "month", "year" -> byDate(name, timeMs);
            default -> ofLength(calendar, timeMs);
        };
    }

    private Period ofLength(CalendarSettings calendar, long timeMs) {
        long startMs = timeMs - Math.floorMod(timeMs - windows.offsetMs(), calendar.lengthMs());
        return new Period(calendar.name(), startMs, startMs + calendar.lengthMs());
    }

    private Period byDate(String name, long timeMs) {
        LocalDate day = first(name, clock.date(timeMs));
        // A clock that was put back over midnight shows the day before again.
        while (clock.beginsMs(following(name, day)) <= timeMs) {
            day = following(name, day);
        }
        return new Period(name, clock.beginsMs(day), clock.beginsMs(following(name, day)));
    }

    private static LocalDate first(String name, LocalDate day) {
        return switch (name) {
            case "day" -> day;
            case "week" -> day.with(TemporalAdjusters.previousOrSame(DayOfWeek.MONDAY));
            case "month" -> day.withDayOfMonth(1);
            default -> day.withDayOfYear(1);
        };
    }

    private static LocalDate following(String name, LocalDate first) {
        return switch (name) {
            case "day" -> first.plusDays(1);
            case "week" -> first.plusWeeks(1);
            case "month" -> first.plusMonths(1);
            default -> first.plusYears(1);
        };
    }

    private long hourBeganMs(long timeMs) {
        long offsetMs = clock.offsetMs(timeMs);
        long beganMs = timeMs - Math.floorMod(timeMs + offsetMs, HOUR_MS);
        if (clock.offsetMs(beganMs) == offsetMs) {
            return beganMs;
        }
        long changedMs = clock.changedMs(timeMs);
        if ((changedMs + clock.offsetMs(changedMs - 1)) % HOUR_MS == 0) {
            return changedMs;
        }
        return hourBeganMs(changedMs - 1);
    }

    private long hourEndsMs(long timeMs) {
        long offsetMs = clock.offsetMs(timeMs);
        long endsMs = timeMs - Math.floorMod(timeMs + offsetMs, HOUR_MS) + HOUR_MS;
        if (clock.offsetMs(endsMs - 1) == offsetMs) {
            return endsMs;
        }
        long changedMs = clock.changedMs(endsMs - 1);
        if ((changedMs + clock.offsetMs(changedMs)) % HOUR_MS == 0) {
            return changedMs;
        }
        return hourEndsMs(changedMs);
    }
}
