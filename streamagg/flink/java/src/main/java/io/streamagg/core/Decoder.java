package io.streamagg.core;

import java.util.ArrayList;
import java.util.List;

/** Decodes the values of records by the settings (docs/decoding.md). Built once; for one thread. */
public final class Decoder {
    private static final long[] NO_CELLS = {};
    private static final long NO_NUMBER = Double.doubleToRawLongBits(Double.NaN);
    private static final long NO_HASH = 0;
    private static final int REGISTRY_BYTES = 5;

    private final DecodeSettings settings;
    private final List<ValueColumn> columns;
    private final Finder finder;
    private final int time;
    /** -1: no users are counted. */
    private final int user;
    private final int[] groups;
    private final int[] values;
    private final boolean[] hashed;
    private final Ids ids;
    private final GroupText groupText;
    private final Text text = new Text();
    private Rejection rejection;
    private int ignored;

    /** Throws SettingsException if a path is malformed. */
    public Decoder(DecodeSettings settings) {
        this.settings = settings;
        columns = ValueColumn.of(settings.measures());
        List<List<String>> paths = new ArrayList<>();
        time = place(settings.timeField(), paths);
        user = settings.countsUsers() ? place(settings.userField(), paths) : -1;
        groups = settings.groupBy().stream().mapToInt(path -> place(path, paths)).toArray();
        values = columns.stream().mapToInt(column -> place(column.path(), paths)).toArray();
        hashed = new boolean[columns.size()];
        for (int i = 0; i < hashed.length; i++) {
            hashed[i] = columns.get(i).hashed();
        }
        finder = new Finder(paths);
        ids = new Ids(settings.hashSeed());
        groupText = new GroupText(groups.length);
    }

    /** The number of a field among the different ones. */
    private static int place(String path, List<List<String>> paths) {
        List<String> keys = FieldPath.keysOf(path);
        if (!paths.contains(keys)) {
            paths.add(keys);
        }
        return paths.indexOf(keys);
    }

    /**
     * The row of a record, or null; then {@link #rejection} says why.
     *
     * @param payload null: the record has no value
     */
    public Row decode(byte[] payload, int partition, long offset) {
        ignored = 0;
        rejection = found(payload);
        if (rejection != null) {
            return null;
        }
        long timeMs = timeMs();
        if (timeMs == EventTime.NONE) {
            return rejected(Rejection.BAD_TIME);
        }
        if (user >= 0 && !(look(user, payload) && Ids.isId(text))) {
            return rejected(Rejection.BAD_USER);
        }
        long hash = user >= 0 ? ids.hash(text) : 0;
        byte[] group = groups.length == 0 ? null : group(payload);
        if (rejection != null) {
            return null;
        }
        return new Row(partition, offset, timeMs, hash, group, cells(payload));
    }

    /** Why the last record was rejected; null: it was not. */
    public Rejection rejection() {
        return rejection;
    }

    /** What cells are, in their order. */
    public List<ValueColumn> columns() {
        return columns;
    }

    /** A bit for each cell of the last row that has no value although its field holds something other than null. */
    public int ignored() {
        return ignored;
    }

    private Row rejected(Rejection reason) {
        rejection = reason;
        return null;
    }

    /** Finds the fields; leaves the time in {@link #text}. */
    private Rejection found(byte[] payload) {
        if (payload == null) {
            return Rejection.TOMBSTONE;
        }
        if (payload.length > settings.maxRecordBytes()) {
            return Rejection.TOO_LARGE;
        }
        int begin = begin(payload);
        if (begin < 0 || !finder.find(payload, begin, payload.length)) {
            return Rejection.BAD_JSON;
        }
        if (isAbsent(time) || (user >= 0 && isAbsent(user))) {
            return Rejection.MISSING_FIELD;
        }
        return isText(payload) ? null : Rejection.BAD_JSON;
    }

    /** Where the document begins: behind the five bytes of a schema registry, and a byte order mark; -1: nowhere. */
    private int begin(byte[] payload) {
        boolean framed = payload.length >= REGISTRY_BYTES && payload[0] == 0;
        if (settings.framing() == DecodeSettings.Framing.REGISTRY && !framed) {
            return -1;
        }
        int begin = framed && settings.framing() != DecodeSettings.Framing.NONE ? REGISTRY_BYTES : 0;
        boolean marked = payload.length >= begin + 3
                && payload[begin] == (byte) 0xef
                && payload[begin + 1] == (byte) 0xbb
                && payload[begin + 2] == (byte) 0xbf;
        return marked ? begin + 3 : begin;
    }

    private boolean isAbsent(int field) {
        return finder.begin(field) == Finder.ABSENT;
    }

    /** Turns to the value of a field that is there; false if it is a string and not UTF-8. */
    private boolean look(int field, byte[] payload) {
        return text.set(payload, finder.begin(field), finder.end(field));
    }

    /** Strings of user, groups and time are UTF-8; the last one looked at is the time. */
    private boolean isText(byte[] payload) {
        for (int field : groups) {
            if (!isAbsent(field) && !look(field, payload)) {
                return false;
            }
        }
        return (user < 0 || look(user, payload)) && look(time, payload);
    }

    private long timeMs() {
        return EventTime.parse(text.bytes, text.from, text.to, text.quoted, settings.timeUnit());
    }

    private byte[] group(byte[] payload) {
        groupText.begin();
        for (int field : groups) {
            if (isAbsent(field)) {
                groupText.addNull();
            } else if (!(look(field, payload) && groupText.add(text))) {
                rejection = Rejection.BAD_GROUP;
                return null;
            }
        }
        return groupText.finish();
    }

    private long[] cells(byte[] payload) {
        if (values.length == 0) {
            return NO_CELLS;
        }
        long[] cells = new long[values.length];
        for (int i = 0; i < cells.length; i++) {
            cells[i] = cell(i, payload);
        }
        return cells;
    }

    private long cell(int place, byte[] payload) {
        long none = hashed[place] ? NO_HASH : NO_NUMBER;
        int field = values[place];
        if (isAbsent(field)) {
            return none;
        }
        boolean readable = look(field, payload);
        if (text.isNull()) {
            return none;
        }
        if (hashed[place] && readable && Ids.isId(text)) {
            long hash = ids.hash(text);
            return hash == NO_HASH ? 1 : hash;
        }
        if (!hashed[place] && text.isNumber()) {
            double number = Numbers.parse(text.bytes, text.from, text.to);
            if (Double.isFinite(number)) {
                // -0 is 0.
                return Double.doubleToRawLongBits(number + 0.0);
            }
        }
        ignored |= 1 << place;
        return none;
    }
}
