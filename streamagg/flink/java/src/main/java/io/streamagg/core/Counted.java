package io.streamagg.core;

/**
 * What is published of some rows.
 *
 * @param users null where no users are counted
 * @param measured of each measure, in the order of the settings: a Long, a Double, or null
 */
public record Counted(Long users, long records, Number[] measured) {
    public static Counted of(Tally tally) {
        return new Counted(tally.users(), tally.records(), tally.measured());
    }
}
