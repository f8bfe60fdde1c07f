import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.File;
import java.io.IOException;
import java.util.Map;

/** What a run hands back to the benchmark. */
final class Result {
    private Result() {}

    /** {@code windows}: null when they were published into Kafka. */
    static void write(File file, long records, double seconds, Map<Long, Integer> windows)
            throws IOException {
        try (JsonGenerator json = new JsonFactory().createGenerator(file, JsonEncoding.UTF8)) {
            json.writeStartObject();
            json.writeNumberField("records", records);
            json.writeNumberField("seconds", seconds);
            if (windows != null) {
                json.writeObjectFieldStart("windows");
                for (Map.Entry<Long, Integer> window : windows.entrySet()) {
                    json.writeNumberField(window.getKey().toString(), window.getValue());
                }
                json.writeEndObject();
            }
            json.writeEndObject();
        }
    }
}
