package io.streamagg.flink;

import io.streamagg.core.Calendars;
import io.streamagg.core.DecodeSettings;
import io.streamagg.core.Period;
import io.streamagg.core.PeriodGain;
import io.streamagg.core.Tally;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.flink.api.common.state.MapState;

/**
 * The open periods of calendars, as one counter has them: unions of the windows that it has closed.
 *
 * <p>A month is too large to be written at each checkpoint. So what was added since the last one is written as a segment
 * of its own, and only every {@link #MOST_SEGMENTS} checkpoints all of it as one.
 */
final class OpenPeriods {
    static final int MOST_SEGMENTS = 16;

    /** A period: that of a calendar which ends with a window; in the order in which they are published. */
    record Key(long lastWindow, int calendar) implements Comparable<Key> {
        @Override
        public int compareTo(Key other) {
            int order = Long.compare(lastWindow, other.lastWindow);
            return order != 0 ? order : Integer.compare(calendar, other.calendar);
        }

        private String segment(int number) {
            return lastWindow + ":" + calendar + ":" + number;
        }
    }

    /** A period that is over. */
    record Ended(Key key, Tallies summary) {}

    /** The users of one shard. */
    private static final class Part {
        private final Tallies all;
        private Tallies fresh;
        private int segments;
        /** It was taken over, and is in no segment yet. */
        private boolean taken;

        private Part(Tallies all) {
            this.all = all;
        }
    }

    /** Turns to the state of a shard. */
    interface Turn {
        MapState<String, byte[]> to(int shard) throws Exception;
    }

    private final Calendars calendars;
    private final DecodeSettings decode;
    private final int shards;
    private final NavigableMap<Key, Part[]> open = new TreeMap<>();

    OpenPeriods(Calendars calendars, DecodeSettings decode, int shards) {
        this.calendars = calendars;
        this.decode = decode;
        this.shards = shards;
    }

    /** Adds what a window that closes has of a shard. */
    void add(long window, int shard, Tallies tallies) {
        byte[] bytes = calendars.count() == 0 ? null : tallies.toBytes();
        for (int calendar = 0; calendar < calendars.count(); calendar++) {
            Period period = calendars.period(calendar, window);
            Part part = part(new Key(calendars.lastWindow(period), calendar), shard);
            part.all.merge(Tallies.read(bytes, decode));
            if (part.fresh == null) {
                part.fresh = new Tallies(decode);
            }
            part.fresh.merge(Tallies.read(bytes, decode));
        }
    }

    private Part part(Key key, int shard) {
        Part[] parts = open.computeIfAbsent(key, none -> new Part[shards]);
        if (parts[shard] == null) {
            parts[shard] = new Part(new Tallies(decode));
        }
        return parts[shard];
    }

    /** Those that are over now that windows up to one are closed; they are forgotten. */
    List<Ended> end(long closedThrough, Turn turn) throws Exception {
        List<Ended> ended = new ArrayList<>();
        while (!open.isEmpty() && open.firstKey().lastWindow() <= closedThrough) {
            Key key = open.firstKey();
            Tallies sum = new Tallies(decode);
            sum.seal();
            Part[] parts = open.remove(key);
            for (int shard = 0; shard < shards; shard++) {
                if (parts[shard] != null) {
                    forget(key, parts[shard], turn.to(shard));
                    parts[shard].all.seal();
                    sum.merge(parts[shard].all);
                }
            }
            ended.add(new Ended(key, sum));
        }
        return ended;
    }

    private static void forget(Key key, Part part, MapState<String, byte[]> state) throws Exception {
        for (int number = 0; number < part.segments; number++) {
            state.remove(key.segment(number));
        }
    }

    /** Writes down what was added since the last time. */
    void keep(Turn turn) throws Exception {
        for (var entry : open.entrySet()) {
            for (int shard = 0; shard < shards; shard++) {
                Part part = entry.getValue()[shard];
                if (part != null && (part.taken || part.fresh != null)) {
                    keep(entry.getKey(), part, turn.to(shard));
                }
            }
        }
    }

    private static void keep(Key key, Part part, MapState<String, byte[]> state) throws Exception {
        Tallies written = part.fresh;
        if (part.taken || part.segments == MOST_SEGMENTS) {
            forget(key, part, state);
            part.segments = 0;
            written = part.all;
        }
        state.put(key.segment(part.segments++), written.toBytes());
        part.fresh = null;
        part.taken = false;
    }

    /** Takes a segment that {@link #keep} has written. */
    void restore(int shard, String segment, byte[] bytes) {
        String[] words = segment.split(":");
        Part part = part(new Key(Long.parseLong(words[0]), Integer.parseInt(words[1])), shard);
        part.all.merge(Tallies.read(bytes, decode));
        part.segments++;
    }

    /** Takes the values of open periods from a state topic, as far as they are of some of the shards. */
    StateTopic.Values taking(IntPredicate ours) {
        Map<String, PeriodGain> readers = new HashMap<>();
        return (period, session, value) ->
                readers.computeIfAbsent(period, name -> reader(name, ours)).take(session, value);
    }

    private PeriodGain reader(String name, IntPredicate ours) {
        String[] words = name.split(" ");
        int calendar = calendars.number(words[0]);
        Key key = new Key(calendars.lastWindow(calendars.periodAt(calendar, Long.parseLong(words[1]))), calendar);
        return new PeriodGain(decode, shards, new PeriodGain.Target() {
            @Override
            public Tally tally(int shard, byte[] group) {
                return ours.test(shard) ? taken(key, shard).tally(group) : null;
            }

            @Override
            public void drop() {
                IntStream.range(0, shards).filter(ours).limit(1).forEach(shard -> taken(key, shard).drop());
            }
        });
    }

    private Tallies taken(Key key, int shard) {
        Part part = part(key, shard);
        part.taken = true;
        return part.all;
    }

    Set<Key> keys() {
        return open.keySet();
    }

    /** Values for a state topic: all that there is of a period. */
    List<byte[]> values(Key key) {
        return parts(key).flatMap(part -> part.all.values(decode).stream()).toList();
    }

    long users(Key key) {
        return parts(key).mapToLong(part -> part.all.all().users() == null ? 0 : part.all.all().users()).sum();
    }

    private Stream<Part> parts(Key key) {
        return Arrays.stream(open.get(key)).filter(Objects::nonNull);
    }

    int size() {
        return open.size();
    }
}
