import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;

/** What is asked of one page of one window: its users, records, bytes, and the slowest of its records. */
final class Figures {
    private final Set<String> users = new HashSet<>();
    private long records;
    private long bytes;
    private double slowest = Double.NEGATIVE_INFINITY;

    void add(Visit visit) {
        users.add(visit.user());
        records++;
        bytes += visit.bytes();
        slowest = Math.max(slowest, visit.latencyMs());
    }

    void add(Figures more) {
        users.addAll(more.users);
        records += more.records;
        bytes += more.bytes;
        slowest = Math.max(slowest, more.slowest);
    }

    int users() {
        return users.size();
    }

    long records() {
        return records;
    }

    long bytes() {
        return bytes;
    }

    double slowest() {
        return slowest;
    }

    void pack(DataOutput out) throws IOException {
        out.writeLong(records);
        out.writeLong(bytes);
        out.writeDouble(slowest);
        out.writeInt(users.size());
        for (String user : users) {
            out.writeUTF(user);
        }
    }

    static Figures unpack(DataInput in) throws IOException {
        Figures figures = new Figures();
        figures.records = in.readLong();
        figures.bytes = in.readLong();
        figures.slowest = in.readDouble();
        for (int left = in.readInt(); left > 0; left--) {
            figures.users.add(in.readUTF());
        }
        return figures;
    }
}
