package io.streamagg.flink;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.record.TimestampType;

/** A record as it was read; the decoder is chained to the source, so that none travels. */
record Input(ConsumerRecord<byte[], byte[]> record) {
    static final CodecType<Input> TYPE = new CodecType<>(Input.class, new Wire());

    /** The broker has stamped it no further than {@code maxJumpMs} from its event time. */
    boolean isLive(long timeMs, long maxJumpMs) {
        return record.timestampType() == TimestampType.LOG_APPEND_TIME
                && Math.abs(record.timestamp() - timeMs) <= maxJumpMs;
    }

    Letter letter(String reason) {
        return new Letter(
                reason,
                record.partition(),
                record.offset(),
                record.timestampType() == TimestampType.NO_TIMESTAMP_TYPE ? -1 : record.timestamp(),
                record.key(),
                record.value());
    }

    /** Hands records on as they are. */
    static final class Schema implements KafkaRecordDeserializationSchema<Input> {
        private static final long serialVersionUID = 1;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Input> out) {
            out.collect(new Input(record));
        }

        @Override
        public TypeInformation<Input> getProducedType() {
            return TYPE;
        }
    }

    private static final class Wire implements Codec<Input> {
        private static final long serialVersionUID = 1;

        @Override
        public void write(Input input, DataOutput out) throws IOException {
            throw new IOException("the decoder is not chained to the source");
        }

        @Override
        public Input read(DataInput in) throws IOException {
            throw new IOException("the decoder is not chained to the source");
        }
    }
}
