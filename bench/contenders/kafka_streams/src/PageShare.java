import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** As {@link Share}, with some pages of one window. */
record PageShare(int partition, long start, Map<String, Figures> pages, long closedBefore) {
    /** The last share of those windows that were closed together. */
    static PageShare end(int partition, long closedBefore) {
        return new PageShare(partition, closedBefore, Map.of(), closedBefore);
    }

    static Serde<PageShare> serde() {
        return Serdes.serdeFrom((topic, share) -> share.pack(), (topic, bytes) -> unpack(bytes));
    }

    private byte[] pack() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeInt(partition);
            out.writeLong(start);
            out.writeLong(closedBefore);
            out.writeInt(pages.size());
            for (Map.Entry<String, Figures> page : pages.entrySet()) {
                out.writeUTF(page.getKey());
                page.getValue().pack(out);
            }
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return bytes.toByteArray();
    }

    private static PageShare unpack(byte[] bytes) {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            int partition = in.readInt();
            long start = in.readLong();
            long closedBefore = in.readLong();
            Map<String, Figures> pages = new HashMap<>();
            for (int left = in.readInt(); left > 0; left--) {
                pages.put(in.readUTF(), Figures.unpack(in));
            }
            return new PageShare(partition, start, pages, closedBefore);
        } catch (IOException notAShare) {
            throw new UncheckedIOException(notAShare);
        }
    }
}
