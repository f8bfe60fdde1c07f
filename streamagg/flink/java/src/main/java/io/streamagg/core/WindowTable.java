package io.streamagg.core;

import java.util.List;

/**
 * A closed window, or a period that is over.
 *
 * @param partial reading began inside it, so that it holds less than it should
 * @param all all records together
 * @param found how many groups there are; null: records have no groups, or there are too many of them
 * @param dropped there are too many groups, so that none is published
 * @param groups those that are published, in their order
 * @param period null: it is a window, which begins at {@code startMs}
 */
public record WindowTable(
        long startMs, boolean partial, Counted all, Long found, boolean dropped, List<Group> groups, Period period) {

    /** Of records without groups. */
    public static WindowTable plain(long startMs, boolean partial, Counted all, Period period) {
        return new WindowTable(startMs, partial, all, null, false, List.of(), period);
    }

    /** Of too many groups. */
    public static WindowTable totals(long startMs, boolean partial, Counted all, Period period) {
        return new WindowTable(startMs, partial, all, null, true, List.of(), period);
    }

    /**
     * Of groups in any order.
     *
     * @param top so many are published; null: all
     */
    public static WindowTable grouped(
            long startMs, boolean partial, Counted all, List<Group> groups, Integer top, Period period) {
        List<Group> published = groups.stream()
                .sorted(Group.ORDER)
                .limit(top == null ? Long.MAX_VALUE : top)
                .toList();
        return new WindowTable(startMs, partial, all, (long) groups.size(), false, published, period);
    }
}
