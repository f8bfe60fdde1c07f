import java.nio.ByteBuffer;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;

/** Parses values where they lie in the fetched buffer; null for what is no event. */
final class EventDeserializer implements Deserializer<Event> {
    @Override
    public Event deserialize(String topic, byte[] value) {
        return value == null ? null : Event.parse(value, 0, value.length);
    }

    @Override
    public Event deserialize(String topic, Headers headers, ByteBuffer value) {
        return value == null
                ? null
                : Event.parse(value.array(), value.arrayOffset() + value.position(), value.remaining());
    }
}
