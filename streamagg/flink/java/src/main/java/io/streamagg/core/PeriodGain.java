package io.streamagg.core;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What was added to an open period, as values of the state topic have it: {@code _Addition} of
 * streamagg/core/periods.py. One reader takes the values of one period in their order.
 */
public final class PeriodGain {
    /** Of a value: Kafka takes a record of a megabyte by default. */
    private static final int MOST_BYTES = 500_000;

    private static final byte LAST = 0;
    private static final byte MORE = 1;
    /** Where sums go, which belong to no user. */
    private static final int SUMS = 0;

    private static final byte[] NOTHING = {};

    /** Where it goes. */
    public interface Target {
        /** Of a group, or of all together if the text is null; null: the shard is none of ours. */
        Tally tally(int shard, byte[] group);

        /** The period has more groups than it may have. */
        void drop();
    }

    /** Adds one hash. */
    private interface Taker {
        void take(Tally tally, long hash);
    }

    private final DecodeSettings decode;
    private final int shards;
    private final Target target;
    private final Map<Long, byte[]> texts = new HashMap<>();
    private final Map<String, List<byte[]>> parts = new HashMap<>();

    /** {@code shards}: so many there are of users. */
    public PeriodGain(DecodeSettings decode, int shards, Target target) {
        this.decode = decode;
        this.shards = shards;
        this.target = target;
    }

    /** The shard of a hash: all of a user go to the same one. */
    public static int shard(long hash, int shards) {
        return (int) ((hash >>> 32) * shards >>> 32);
    }

    /** Takes the next value that a session wrote; throws SettingsException. */
    public void take(String session, byte[] value) {
        List<byte[]> begun = parts.computeIfAbsent(session, none -> new ArrayList<>());
        begun.add(value);
        if (value[0] == MORE) {
            return;
        }
        ByteBuffer whole = ByteBuffer.allocate(begun.stream().mapToInt(part -> part.length - 1).sum());
        begun.forEach(part -> whole.put(part, 1, part.length - 1));
        begun.clear();
        take((List<?>) MessagePack.read(whole.flip()));
    }

    private void take(List<?> addition) {
        boolean dropped = (Boolean) addition.get(0);
        if (dropped) {
            target.drop();
        }
        learn((List<?>) addition.get(2));
        byte[][] groups = groups(addition.get(1), dropped);
        List<?> gains = (List<?>) addition.get(3);
        takeSets(gains, groups);
        for (int place = 0; place < groups.length; place++) {
            takeSums(gains, place, null);
            if (groups[place] != null) {
                takeSums(gains, place, groups[place]);
            }
        }
    }

    private void learn(List<?> table) {
        ByteBuffer lengths = Columns.read(table.get(2));
        ByteBuffer text = Columns.read(table.get(3));
        for (int place = 0; lengths.hasRemaining(); place++) {
            byte[] one = new byte[lengths.getInt()];
            text.get(one);
            texts.put(Columns.at(table.get(0), place), one);
        }
    }

    /** By place; null: there is none, or none any more. */
    private byte[][] groups(Object ids, boolean dropped) {
        ByteBuffer column = Columns.read(ids);
        byte[][] groups = new byte[Math.max(1, column.remaining() / Long.BYTES)][];
        for (int place = 0; column.hasRemaining(); place++) {
            byte[] text = texts.get(column.getLong());
            groups[place] = dropped ? null : text;
            if (text == null) {
                throw new SettingsException("The state topic does not name a group: start anew with --from earliest.");
            }
        }
        return groups;
    }

    private void takeSums(List<?> gains, int place, byte[] group) {
        Tally tally = target.tally(SUMS, group);
        if (tally != null) {
            tally.takeSums(gains.subList(decode.countsUsers() ? 1 : 0, gains.size()), place);
        }
    }

    private void takeSets(List<?> gains, byte[][] groups) {
        int at = 0;
        if (decode.countsUsers()) {
            takeMembers((List<?>) gains.get(at++), groups, Tally::takeUser);
        }
        for (int number = 0; number < decode.measures().size(); number++) {
            int measure = number;
            if (decode.measures().get(measure).hashed()) {
                List<?> members = (List<?>) gains.get(at + 1 + measure);
                takeMembers(members, groups, (tally, hash) -> tally.takeValue(measure, hash));
            }
        }
    }

    private void takeMembers(List<?> members, byte[][] groups, Taker taker) {
        if ((Boolean) members.get(0)) {
            throw new SettingsException("The state topic holds approximate counts, which a job on Flink has not.");
        }
        ByteBuffer known = Columns.read(members.get(1));
        while (known.hasRemaining()) {
            takeMember(known.getLong(), null, taker);
        }
        ByteBuffer places = Columns.read(members.get(2));
        ByteBuffer hashes = Columns.read(members.get(3));
        while (hashes.hasRemaining()) {
            takeMember(hashes.getLong(), groups[places.getInt()], taker);
        }
    }

    private void takeMember(long hash, byte[] group, Taker taker) {
        int shard = shard(hash, shards);
        Tally all = target.tally(shard, null);
        if (all == null) {
            return;
        }
        taker.take(all, hash);
        if (group != null) {
            taker.take(target.tally(shard, group), hash);
        }
    }

    /** Values that add so much: of all together, or of each group if there are any, whose texts are given. */
    public static List<byte[]> values(DecodeSettings decode, boolean dropped, List<byte[]> groups, List<Tally> places) {
        GroupIds ids = GroupIds.of(decode);
        List<Object> gains = new ArrayList<>();
        if (decode.countsUsers()) {
            gains.add(members(places.stream().map(Tally::userSet).toList()));
        }
        gains.add(Columns.longs(places, Tally::records));
        for (int measure = 0; measure < decode.measures().size(); measure++) {
            int number = measure;
            List<Accumulator> column = places.stream().map(tally -> tally.measure(number)).toList();
            gains.add(column.get(0).gain(column));
        }
        byte[] column = Columns.longs(groups, ids::id);
        List<byte[]> table = List.of(column, Columns.longs(groups, ids::check), lengths(groups), joined(groups));
        return cut(MessagePack.write(List.of(dropped, column, table, gains)));
    }

    /** Of each place the hashes in a set. */
    static List<Object> members(List<LongSet> sets) {
        int size = sets.stream().mapToInt(LongSet::size).sum();
        ByteBuffer places = Columns.allocate(Math.multiplyExact(size, Integer.BYTES));
        ByteBuffer hashes = Columns.allocate(Math.multiplyExact(size, Long.BYTES));
        for (int place = 0; place < sets.size(); place++) {
            for (long hash : sets.get(place).values()) {
                places.putInt(place);
                hashes.putLong(hash);
            }
        }
        return List.of(false, NOTHING, places.array(), hashes.array());
    }

    private static byte[] lengths(List<byte[]> texts) {
        ByteBuffer column = Columns.allocate(texts.size() * Integer.BYTES);
        texts.forEach(text -> column.putInt(text.length));
        return column.array();
    }

    private static byte[] joined(List<byte[]> texts) {
        ByteBuffer all = Columns.allocate(texts.stream().mapToInt(text -> text.length).sum());
        texts.forEach(all::put);
        return all.array();
    }

    private static List<byte[]> cut(byte[] whole) {
        List<byte[]> values = new ArrayList<>();
        for (int start = 0; start < whole.length; start += MOST_BYTES) {
            int size = Math.min(MOST_BYTES, whole.length - start);
            byte[] value = new byte[1 + size];
            value[0] = start + size < whole.length ? MORE : LAST;
            System.arraycopy(whole, start, value, 1, size);
            values.add(value);
        }
        return values;
    }
}
