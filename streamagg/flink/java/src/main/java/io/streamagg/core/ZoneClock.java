package io.streamagg.core;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.zone.ZoneOffsetTransition;
import java.time.zone.ZoneRules;
import java.util.HexFormat;

/** How the clock of a time zone goes: what it shows, and when it is changed; milliseconds. */
final class ZoneClock {
    static final long DAY_MS = 86_400_000;
    /** About the year 2100; later on clocks are changed every year by the same rules. */
    private static final long END_MS = 130 * 365 * DAY_MS;
    private static final int DIGITS = 12;

    private final ZoneRules rules;

    /** A name of the IANA database; throws SettingsException. */
    ZoneClock(String name) {
        try {
            // EST, HST and MST are names of the database that Java knows as short ones.
            rules = ZoneId.of(name, ZoneId.SHORT_IDS).getRules();
        } catch (DateTimeException error) {
            throw new SettingsException("This Java has no data of the time zone " + name + ".");
        }
    }

    /** The date that it shows. */
    LocalDate date(long timeMs) {
        return LocalDate.ofEpochDay(Math.floorDiv(timeMs + offsetMs(timeMs), DAY_MS));
    }

    /** How far it is ahead of UTC. */
    long offsetMs(long timeMs) {
        return rules.getOffset(Instant.ofEpochMilli(timeMs)).getTotalSeconds() * 1_000L;
    }

    /**
     * When it reaches a date; a day that it skips has no length, and begins with the next one. That is the first of two
     * midnights; and where the clock skips midnight, it does so at that moment.
     */
    long beginsMs(LocalDate day) {
        LocalDateTime midnight = day.atStartOfDay();
        ZoneOffsetTransition transition = rules.getTransition(midnight);
        long offsetMs = (transition == null ? rules.getOffset(midnight) : transition.getOffsetBefore()).getTotalSeconds()
                * 1_000L;
        return day.toEpochDay() * DAY_MS - offsetMs;
    }

    /** When its offset became what it is at {@code afterMs}. */
    long changedMs(long afterMs) {
        Instant behind = Instant.ofEpochMilli(afterMs + 1);
        return rules.previousTransition(behind).getInstant().toEpochMilli();
    }

    /**
     * Twelve hexadecimal digits that are others where the clock goes otherwise from 1970 to about 2100: those of
     * streamagg/core/zone_clock.py.
     */
    String digest() {
        StringBuilder offsets = new StringBuilder("((0, " + offsetMs(0) + ")");
        boolean several = false;
        for (ZoneOffsetTransition next = rules.nextTransition(Instant.EPOCH);
                next != null && next.getInstant().toEpochMilli() < END_MS;
                next = rules.nextTransition(next.getInstant())) {
            offsets.append(", (").append(next.getInstant().toEpochMilli());
            offsets.append(", ").append(next.getOffsetAfter().getTotalSeconds() * 1_000L).append(")");
            several = true;
        }
        return digest(offsets.append(several ? ")" : ",)").toString());
    }

    private static String digest(String text) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.US_ASCII));
            return HexFormat.of().formatHex(hash).substring(0, DIGITS);
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }
}
