package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A rejected record, as it is sent to the dead-letter topic.
 *
 * @param key null: it had none
 * @param payload null: it had none, or the broker has removed it
 * @param timestampMs of Kafka; -1: none
 */
record Letter(String reason, int partition, long offset, long timestampMs, byte[] key, byte[] payload) {
    static final CodecType<Letter> TYPE = new CodecType<>(Letter.class, new Wire());

    private static final class Wire implements Codec<Letter> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Letter letter, DataOutput out) throws IOException {
            out.writeUTF(letter.reason);
            out.writeInt(letter.partition);
            out.writeLong(letter.offset);
            out.writeLong(letter.timestampMs);
            Bytes.write(letter.key, out);
            Bytes.write(letter.payload, out);
        }

        @Override
        public Letter read(DataInput in) throws IOException {
            return new Letter(
                    in.readUTF(), in.readInt(), in.readLong(), in.readLong(), Bytes.read(in), Bytes.read(in));
        }
    }
}
