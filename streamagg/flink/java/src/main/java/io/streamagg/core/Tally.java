package io.streamagg.core;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;

/**
 * What some rows of one window come to: users, records and measures, of one group or of all.
 *
 * <p>Counting in two levels: a tally for each shard of users is {@link #seal sealed}, which turns its set of users
 * into their number, and then merged with those of other shards, in which none of these users is.
 */
public final class Tally {
    private final boolean countsUsers;
    private final List<Accumulator> measures;
    private long records;
    private LongSet users = new LongSet();
    /** Users of shards that are sealed. */
    private long sealed;

    public Tally(DecodeSettings settings) {
        countsUsers = settings.countsUsers();
        measures = Measures.of(settings);
    }

    public void add(Row row) {
        records++;
        if (countsUsers) {
            users.add(row.user());
        }
        for (Accumulator measure : measures) {
            measure.add(row);
        }
    }

    /** Adds what another one has come to; it is not used any more. */
    public void merge(Tally other) {
        records += other.records;
        users.addAll(other.users);
        sealed += other.sealed;
        for (int i = 0; i < measures.size(); i++) {
            measures.get(i).merge(other.measures.get(i));
        }
    }

    /** Forgets which users these are: from here on, only tallies of others may be merged. */
    public void seal() {
        sealed += users.size();
        users = new LongSet();
    }

    public long records() {
        return records;
    }

    /** Null where no users are counted. */
    public Long users() {
        return countsUsers ? (Long) (sealed + users.size()) : null;
    }

    /** Of each measure, in the order of the settings: a Long, a Double, or null. */
    public Number[] measured() {
        return measures.stream().map(Accumulator::result).toArray(Number[]::new);
    }

    /** Records and measures that a period has gained at a place; of sets nothing. */
    void takeSums(List<?> gains, int place) {
        records += Columns.at(gains.get(0), place);
        for (int measure = 0; measure < measures.size(); measure++) {
            if (!(measures.get(measure) instanceof DistinctAccumulator)) {
                measures.get(measure).take(gains.get(1 + measure), place);
            }
        }
    }

    void takeUser(long hash) {
        users.add(hash);
    }

    void takeValue(int measure, long hash) {
        ((DistinctAccumulator) measures.get(measure)).take(hash);
    }

    LongSet userSet() {
        return users;
    }

    Accumulator measure(int number) {
        return measures.get(number);
    }

    /** What {@link #read} reads. */
    public void write(DataOutput out) throws IOException {
        out.writeLong(records);
        out.writeLong(sealed);
        users.write(out);
        for (Accumulator measure : measures) {
            measure.write(out);
        }
    }

    /** Of the same settings. */
    public static Tally read(DataInput in, DecodeSettings settings) throws IOException {
        Tally tally = new Tally(settings);
        tally.records = in.readLong();
        tally.sealed = in.readLong();
        tally.users = LongSet.read(in);
        for (Accumulator measure : tally.measures) {
            measure.read(in);
        }
        return tally;
    }
}
