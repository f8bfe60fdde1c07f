package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** Where a record is that the clock has rejected: it is read again for its dead letter. */
record Place(int partition, long offset) {
    static final CodecType<Place> TYPE = new CodecType<>(Place.class, new Wire());

    private static final class Wire implements Codec<Place> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Place place, DataOutput out) throws IOException {
            out.writeInt(place.partition);
            out.writeLong(place.offset);
        }

        @Override
        public Place read(DataInput in) throws IOException {
            return new Place(in.readInt(), in.readLong());
        }
    }
}
