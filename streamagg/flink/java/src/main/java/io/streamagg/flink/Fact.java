package io.streamagg.flink;

import io.streamagg.core.Handed;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** What the publisher is told. */
sealed interface Fact {
    CodecType<Fact> TYPE = new CodecType<>(Fact.class, new Wire());

    /** In the place of a calendar. */
    int WINDOW = -1;

    /**
     * What one counter holds of a window that is closed, or of a period that is over.
     *
     * @param calendar whose period ends with this window; WINDOW: it is the window itself
     */
    record Share(long window, int calendar, byte[] summary) implements Fact {}

    /**
     * A counter has closed all windows that the watermark has reached, and handed on its shares of them.
     *
     * @param partialThrough windows up to this one are partial
     */
    record Closed(int counter, long watermarkMs, long partialThrough) implements Fact {}

    /** A late record. */
    record Late(int partition, long offset, long timeMs, long clockMs, boolean closedEarly) implements Fact {}

    /** A window gets its first record of a partition; {@code before}: where a daemon begins to count it anew. */
    record Touched(int partition, long window, Handed.Partition before) implements Fact {}

    /** Where a daemon goes on with a partition if no window is open. */
    record Held(int partition, Handed.Partition position) implements Fact {}

    /** So many values of an open period have gone to the state topic, under the name of a session. */
    record Kept(int calendar, long startMs, String session, long values, long users) implements Fact {}

    /** How facts travel. */
    final class Wire implements Codec<Fact> {
        private static final long serialVersionUID = 1;
        private static final int SHARE = 0;
        private static final int CLOSED = 1;
        private static final int LATE = 2;
        private static final int TOUCHED = 3;
        private static final int HELD = 4;
        private static final int KEPT = 5;

        @Override
        public void write(Fact fact, DataOutput out) throws IOException {
            if (fact instanceof Share share) {
                out.writeByte(SHARE);
                out.writeLong(share.window);
                out.writeInt(share.calendar);
                Bytes.write(share.summary, out);
            } else if (fact instanceof Closed closed) {
                out.writeByte(CLOSED);
                out.writeInt(closed.counter);
                out.writeLong(closed.watermarkMs);
                out.writeLong(closed.partialThrough);
            } else if (fact instanceof Late late) {
                out.writeByte(LATE);
                out.writeInt(late.partition);
                out.writeLong(late.offset);
                out.writeLong(late.timeMs);
                out.writeLong(late.clockMs);
                out.writeBoolean(late.closedEarly);
            } else {
                writePlace(fact, out);
            }
        }

        private static void writePlace(Fact fact, DataOutput out) throws IOException {
            if (fact instanceof Touched touched) {
                out.writeByte(TOUCHED);
                out.writeInt(touched.partition);
                out.writeLong(touched.window);
                touched.before.write(out);
            } else if (fact instanceof Held held) {
                out.writeByte(HELD);
                out.writeInt(held.partition);
                held.position.write(out);
            } else if (fact instanceof Kept kept) {
                out.writeByte(KEPT);
                out.writeInt(kept.calendar);
                out.writeLong(kept.startMs);
                out.writeUTF(kept.session);
                out.writeLong(kept.values);
                out.writeLong(kept.users);
            }
        }

        @Override
        public Fact read(DataInput in) throws IOException {
            return switch (in.readByte()) {
                case SHARE -> new Share(in.readLong(), in.readInt(), Bytes.read(in));
                case CLOSED -> new Closed(in.readInt(), in.readLong(), in.readLong());
                case LATE -> new Late(
                        in.readInt(), in.readLong(), in.readLong(), in.readLong(), in.readBoolean());
                case TOUCHED -> new Touched(in.readInt(), in.readLong(), Handed.Partition.read(in));
                case HELD -> new Held(in.readInt(), Handed.Partition.read(in));
                case KEPT -> new Kept(in.readInt(), in.readLong(), in.readUTF(), in.readLong(), in.readLong());
                default -> throw new IOException("not a fact");
            };
        }
    }
}
