package io.streamagg.core;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.IntConsumer;

/** Writes an object of JSON field by field, in the form of orjson. */
final class JsonWriter {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(160);
    private boolean empty = true;

    JsonWriter begin() {
        return raw("{");
    }

    byte[] finish() {
        return raw("}").bytes();
    }

    byte[] bytes() {
        return out.toByteArray();
    }

    JsonWriter raw(String json) {
        return raw(json.getBytes(StandardCharsets.UTF_8));
    }

    JsonWriter raw(byte[] json) {
        out.writeBytes(json);
        return this;
    }

    /** The name of the next field. */
    JsonWriter name(String name) {
        raw(empty ? "" : ",");
        empty = false;
        return string(name).raw(":");
    }

    JsonWriter field(String name, String json) {
        return name(name).raw(json);
    }

    JsonWriter text(String name, String text) {
        return name(name).string(text);
    }

    JsonWriter flag(String name, boolean value) {
        return field(name, Boolean.toString(value));
    }

    /** A Long, a Double, or null. */
    JsonWriter number(String name, Number value) {
        return field(name, value instanceof Double number ? Numbers.asJson(number) : String.valueOf(value));
    }

    JsonWriter string(String text) {
        IntConsumer into = out::write;
        out.write('"');
        for (byte letter : text.getBytes(StandardCharsets.UTF_8)) {
            Escapes.put(letter, into);
        }
        out.write('"');
        return this;
    }
}
