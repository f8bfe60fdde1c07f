package io.streamagg.core;

import java.util.Arrays;
import java.util.Comparator;

/**
 * What is published of a group.
 *
 * @param text see {@link Row#group}
 */
public record Group(byte[] text, Counted counted) {
    /** The order in which groups are published: most users first, of equals most records, of equals by text. */
    public static final Comparator<Group> ORDER = Comparator.<Group>comparingLong(group -> -group.users())
            .thenComparingLong(group -> -group.counted.records())
            .thenComparing(Group::text, Arrays::compareUnsigned);

    private long users() {
        return counted.users() == null ? 0 : counted.users();
    }
}
