package io.streamagg.flink;

import io.streamagg.core.DecodeSettings;
import io.streamagg.core.PeriodGain;
import io.streamagg.core.Row;
import io.streamagg.core.Tally;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What rows of one window, or of one period, come to: all together, and by group. */
final class Tallies {
    /** The text of a group. */
    record Group(byte[] text) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Group group && Arrays.equals(text, group.text);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(text);
        }
    }

    private final DecodeSettings settings;
    private Tally all;
    private final Map<Group, Tally> groups = new HashMap<>();
    /** There were too many groups, so that they are not told apart any more. */
    private boolean dropped;

    Tallies(DecodeSettings settings) {
        this.settings = settings;
        all = new Tally(settings);
    }

    void add(Row row) {
        all.add(row);
        if (row.group() != null && !dropped) {
            ofGroup(new Group(row.group())).add(row);
        }
    }

    /** See {@link Tally#merge}. */
    void merge(Tallies other) {
        all.merge(other.all);
        if (dropped || other.dropped) {
            drop();
            return;
        }
        other.groups.forEach((group, tally) -> ofGroup(group).merge(tally));
    }

    /** One that both have been merged into. */
    Tallies merged(Tallies other) {
        merge(other);
        return this;
    }

    /** See {@link Tally#seal}. */
    void seal() {
        all.seal();
        groups.values().forEach(Tally::seal);
    }

    void drop() {
        dropped = true;
        groups.clear();
    }

    boolean dropped() {
        return dropped;
    }

    /** Of a group, or of all if the text is null. */
    Tally tally(byte[] group) {
        return group == null ? all : ofGroup(new Group(group));
    }

    private Tally ofGroup(Group group) {
        return groups.computeIfAbsent(group, name -> new Tally(settings));
    }

    Tally all() {
        return all;
    }

    Map<Group, Tally> groups() {
        return groups;
    }

    /** Values for a state topic. */
    List<byte[]> values(DecodeSettings decode) {
        List<byte[]> texts = new ArrayList<>();
        List<Tally> places = new ArrayList<>();
        groups.forEach((group, tally) -> {
            texts.add(group.text());
            places.add(tally);
        });
        return PeriodGain.values(decode, dropped, texts, places.isEmpty() ? List.of(all) : places);
    }

    /** What {@link #read} reads. */
    byte[] toBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            all.write(out);
            out.writeBoolean(dropped);
            out.writeInt(groups.size());
            for (Map.Entry<Group, Tally> group : groups.entrySet()) {
                Bytes.write(group.getKey().text(), out);
                group.getValue().write(out);
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    static Tallies read(byte[] bytes, DecodeSettings settings) {
        Tallies tallies = new Tallies(settings);
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            tallies.all = Tally.read(in, settings);
            tallies.dropped = in.readBoolean();
            for (int count = in.readInt(); count > 0; count--) {
                Group group = new Group(Bytes.read(in));
                tallies.groups.put(group, Tally.read(in, settings));
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return tallies;
    }
}
