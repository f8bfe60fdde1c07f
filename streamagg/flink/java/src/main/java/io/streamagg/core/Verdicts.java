package io.streamagg.core;

/** Hears what becomes of the records of a partition: of the one that was fed, and of those set aside before it. */
public interface Verdicts {
    /**
     * The record counts.
     *
     * @param clockMs the partition's clock just behind it
     */
    void counted(Row row, long clockMs);

    /**
     * The record is late.
     *
     * @param clockMs the partition's clock just before it
     */
    void late(Row row, long clockMs);

    /** The record is rejected: nothing confirmed that it is not of the future. */
    void future(Row row);

    /** The clock goes further than max jump at once. */
    void jump(long beforeMs, long timeMs);
}
