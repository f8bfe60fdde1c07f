import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/** What counts of a record: its second of event time and its user. */
record Event(long second, String user) {
    private static final JsonFactory JSON = new JsonFactory();

    /** Null unless the whole of it is one valid object with both fields in its root. */
    static Event parse(byte[] bytes, int offset, int length) {
        try (JsonParser json = JSON.createParser(bytes, offset, length)) {
            return json.nextToken() == JsonToken.START_OBJECT ? rootFields(json) : null;
        } catch (IOException notJson) {
            return null;
        }
    }

    private static Event rootFields(JsonParser json) throws IOException {
        Long second = null;
        String user = null;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            JsonToken value = json.nextToken();
            if (value == JsonToken.VALUE_NUMBER_INT && name.equals("ts")) {
                second = json.getLongValue();
            } else if (value == JsonToken.VALUE_STRING && name.equals("uid")) {
                user = json.getText();
            } else {
                json.skipChildren();
            }
        }
        boolean complete = second != null && user != null && json.nextToken() == null;
        return complete ? new Event(second, user) : null;
    }
}
