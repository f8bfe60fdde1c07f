package io.streamagg.flink;

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

    /** How facts travel. */
    final class Wire implements Codec<Fact> {
        private static final long serialVersionUID = 1;
        private static final int SHARE = 0;
        private static final int CLOSED = 1;
        private static final int LATE = 2;

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
            }
        }

        @Override
        public Fact read(DataInput in) throws IOException {
            return switch (in.readByte()) {
                case SHARE -> new Share(in.readLong(), in.readInt(), Bytes.read(in));
                case CLOSED -> new Closed(in.readInt(), in.readLong(), in.readLong());
                case LATE -> new Late(
                        in.readInt(), in.readLong(), in.readLong(), in.readLong(), in.readBoolean());
                default -> throw new IOException("not a fact");
            };
        }
    }
}
