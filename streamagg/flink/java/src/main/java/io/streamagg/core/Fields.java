package io.streamagg.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** The fields of a JSON object, each of which has to be there and of the type that is asked for. */
final class Fields {
    private static final JsonFactory JSON = new JsonFactory();

    private final Map<?, ?> fields;

    private Fields(Map<?, ?> fields) {
        this.fields = fields;
    }

    /** Throws SettingsException if the text is no JSON object. */
    static Fields parse(String json) {
        try (JsonParser parser = JSON.createParser(json)) {
            parser.nextToken();
            return new Fields(checked("of a job", value(parser), Map.class));
        } catch (IOException error) {
            // What the error says may show some of them, and there are secrets among them.
            throw new SettingsException("The settings are no JSON.");
        }
    }

    Fields object(String name) {
        return new Fields(get(name, Map.class));
    }

    String text(String name) {
        return get(name, String.class);
    }

    /** Null where the field is null. */
    String textOrNull(String name) {
        return isNull(name) ? null : text(name);
    }

    long integer(String name) {
        return number(get(name, BigInteger.class));
    }

    /** Null where the field is null. */
    Long integerOrNull(String name) {
        return isNull(name) ? null : (Long) integer(name);
    }

    /** Of what stands for an integer in {@link #values}; of one of 64 bits, the bits. */
    static long number(Object integer) {
        return ((BigInteger) integer).longValue();
    }

    List<String> names() {
        return fields.keySet().stream().map(String.class::cast).toList();
    }

    boolean has(String name) {
        return fields.containsKey(name);
    }

    boolean flag(String name) {
        return get(name, Boolean.class);
    }

    List<String> texts(String name) {
        return list(name, String.class, text -> text);
    }

    List<Object> values(String name) {
        return list(name, Object.class, value -> value);
    }

    <T> List<T> objects(String name, Function<Fields, T> read) {
        return list(name, Map.class, map -> read.apply(new Fields(map)));
    }

    Map<String, String> textsByName(String name) {
        Map<String, String> found = new LinkedHashMap<>();
        Map<?, ?> given = get(name, Map.class);
        given.forEach((key, value) -> found.put((String) key, String.valueOf(value)));
        return found;
    }

    boolean isNull(String name) {
        return fields.containsKey(name) && fields.get(name) == null;
    }

    private <V, T> List<T> list(String name, Class<V> type, Function<V, T> read) {
        List<T> found = new ArrayList<>();
        for (Object value : get(name, List.class)) {
            found.add(read.apply(checked(name, value, type)));
        }
        return List.copyOf(found);
    }

    private <T> T get(String name, Class<T> type) {
        return checked(name, fields.get(name), type);
    }

    private static <T> T checked(String name, Object value, Class<T> type) {
        if (!type.isInstance(value)) {
            throw new SettingsException("The setting " + name + " is absent, or of another type than it has to be.");
        }
        return type.cast(value);
    }

    /** The value at the present token: a map, a list, a string, an integer, a boolean, or null. */
    private static Object value(JsonParser parser) throws IOException {
        JsonToken token = parser.currentToken();
        if (token == null) {
            return null;
        }
        return switch (token) {
            case START_OBJECT -> map(parser);
            case START_ARRAY -> elements(parser);
            case VALUE_STRING -> parser.getText();
            case VALUE_NUMBER_INT -> parser.getBigIntegerValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> Boolean.TRUE;
            case VALUE_FALSE -> Boolean.FALSE;
            default -> null;
        };
    }

    private static Map<String, Object> map(JsonParser parser) throws IOException {
        Map<String, Object> found = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            found.put(name, value(parser));
        }
        return found;
    }

    private static List<Object> elements(JsonParser parser) throws IOException {
        List<Object> found = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            found.add(value(parser));
        }
        return found;
    }
}
