package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * Windows close that the watermark has reached.
 *
 * @param partialThrough windows up to this one are partial
 * @param numbers of the status of each clock that it rests on: by then a counter must have their marks
 */
record Close(long watermarkMs, long partialThrough, long[] numbers) {
    static final CodecType<Close> TYPE = new CodecType<>(Close.class, new Wire());

    private static final class Wire implements Codec<Close> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Close close, DataOutput out) throws IOException {
            out.writeLong(close.watermarkMs);
            out.writeLong(close.partialThrough);
            out.writeInt(close.numbers.length);
            for (long number : close.numbers) {
                out.writeLong(number);
            }
        }

        @Override
        public Close read(DataInput in) throws IOException {
            long watermarkMs = in.readLong();
            long partialThrough = in.readLong();
            long[] numbers = new long[in.readInt()];
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = in.readLong();
            }
            return new Close(watermarkMs, partialThrough, numbers);
        }
    }
}
