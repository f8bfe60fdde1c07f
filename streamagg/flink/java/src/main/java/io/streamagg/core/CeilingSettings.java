package io.streamagg.core;

import java.io.Serializable;

/**
 * How many users and groups a window may have, and what happens above that; under the names of
 * streamagg/model/settings.py.
 *
 * @param maxUsers null: any number
 * @param top null: all groups are published
 */
public record CeilingSettings(
        Long maxUsers, AboveUsers above, int maxGroups, AboveGroups aboveGroups, Integer top)
        implements Serializable {

    /** What happens above the ceiling on users. */
    public enum AboveUsers { STOP, APPROXIMATE }

    /** What happens above the ceiling on groups. */
    public enum AboveGroups { STOP, TOTALS }

    static CeilingSettings of(Fields fields) {
        Long top = fields.integerOrNull("top");
        return new CeilingSettings(
                fields.integerOrNull("max_users"),
                Choice.of(AboveUsers.class, "above", fields.text("above")),
                Math.toIntExact(fields.integer("max_groups")),
                Choice.of(AboveGroups.class, "above_groups", fields.text("above_groups")),
                top == null ? null : (Integer) Math.toIntExact(top));
    }
}
