package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** A record that is published. */
record Outgoing(String topic, byte[] key, byte[] value) {
    static final CodecType<Outgoing> TYPE = new CodecType<>(Outgoing.class, new Wire());

    private static final class Wire implements Codec<Outgoing> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Outgoing outgoing, DataOutput out) throws IOException {
            out.writeUTF(outgoing.topic);
            Bytes.write(outgoing.key, out);
            Bytes.write(outgoing.value, out);
        }

        @Override
        public Outgoing read(DataInput in) throws IOException {
            return new Outgoing(in.readUTF(), Bytes.read(in), Bytes.read(in));
        }
    }
}
