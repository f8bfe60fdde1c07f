import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * Some users of one window of one partition. Windows come in order: the partition has handed over all that
 * start before {@code closedBefore}.
 */
record Share(int partition, long start, List<String> users, long closedBefore) {
    /** Keeps a share well below the largest message that brokers accept by default. */
    static final int MOST_USERS = 20_000;

    /** The last share of those windows that were closed together. */
    static Share end(int partition, long closedBefore) {
        return new Share(partition, closedBefore, List.of(), closedBefore);
    }

    static Serde<Share> serde() {
        return Serdes.serdeFrom(
                (topic, share) -> share == null ? null : share.pack(),
                (topic, bytes) -> bytes == null ? null : unpack(bytes));
    }

    private byte[] pack() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeInt(partition);
            out.writeLong(start);
            out.writeLong(closedBefore);
            out.writeInt(users.size());
            for (String user : users) {
                out.writeUTF(user);
            }
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return bytes.toByteArray();
    }

    private static Share unpack(byte[] bytes) {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            int partition = in.readInt();
            long start = in.readLong();
            long closedBefore = in.readLong();
            int size = in.readInt();
            List<String> users = new ArrayList<>(size);
            while (users.size() < size) {
                users.add(in.readUTF());
            }
            return new Share(partition, start, users, closedBefore);
        } catch (IOException notAShare) {
            throw new UncheckedIOException(notAShare);
        }
    }
}
