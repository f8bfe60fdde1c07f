import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/** What the grouped work takes of a record: its second of event time, user, page and two numbers. */
record Visit(long second, String user, String page, long bytes, double latencyMs) {
    private static final JsonFactory JSON = new JsonFactory();

    /** Null unless the whole of it is one valid object with all of the fields. */
    static Visit parse(byte[] value) {
        try (JsonParser json = JSON.createParser(value)) {
            return json.nextToken() == JsonToken.START_OBJECT ? rootFields(json) : null;
        } catch (IOException notJson) {
            return null;
        }
    }

    private static Visit rootFields(JsonParser json) throws IOException {
        Long second = null;
        String user = null;
        String page = null;
        Long bytes = null;
        Double latencyMs = null;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            json.nextToken();
            switch (name) {
                case "ts" -> second = json.getLongValue();
                case "uid" -> user = text(json);
                case "page" -> page = path(json);
                case "bytes" -> bytes = json.getLongValue();
                case "latency_ms" -> latencyMs = json.getDoubleValue();
                default -> json.skipChildren();
            }
        }
        if (second == null || user == null || page == null || bytes == null || latencyMs == null) {
            return null;
        }
        return json.nextToken() == null ? new Visit(second, user, page, bytes, latencyMs) : null;
    }

    /** The field {@code path} of an object; null for anything else. */
    private static String path(JsonParser json) throws IOException {
        String path = null;
        if (json.currentToken() != JsonToken.START_OBJECT) {
            json.skipChildren();
            return null;
        }
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            json.nextToken();
            if (name.equals("path")) {
                path = text(json);
            } else {
                json.skipChildren();
            }
        }
        return path;
    }

    private static String text(JsonParser json) throws IOException {
        if (json.currentToken() == JsonToken.VALUE_STRING) {
            return json.getText();
        }
        json.skipChildren();
        return null;
    }
}
