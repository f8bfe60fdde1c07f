package io.streamagg.core;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** As much of MessagePack as the state topic takes: arrays, bytes, integers, booleans. */
final class MessagePack {
    private MessagePack() {}

    /** A {@code List}, {@code ByteBuffer}, {@code Long} or {@code Boolean}; throws SettingsException. */
    static Object read(ByteBuffer in) {
        int type = in.get() & 0xff;
        if (type <= 0x7f || type >= 0xe0) {
            return (long) (byte) type;
        }
        if (type >= 0x90 && type <= 0x9f) {
            return list(in, type & 0xf);
        }
        return switch (type) {
            case 0xc2 -> false;
            case 0xc3 -> true;
            case 0xc4 -> bytes(in, in.get() & 0xff);
            case 0xc5 -> bytes(in, in.getShort() & 0xffff);
            case 0xc6 -> bytes(in, in.getInt());
            case 0xcc -> (long) (in.get() & 0xff);
            case 0xcd -> (long) (in.getShort() & 0xffff);
            case 0xce -> in.getInt() & 0xffffffffL;
            case 0xcf, 0xd3 -> in.getLong();
            case 0xd0 -> (long) in.get();
            case 0xd1 -> (long) in.getShort();
            case 0xd2 -> (long) in.getInt();
            case 0xdc -> list(in, in.getShort() & 0xffff);
            case 0xdd -> list(in, in.getInt());
            default -> throw new SettingsException("The state topic is damaged: start anew with --from earliest.");
        };
    }

    private static List<Object> list(ByteBuffer in, int size) {
        List<Object> values = new ArrayList<>(size);
        for (int left = size; left > 0; left--) {
            values.add(read(in));
        }
        return values;
    }

    private static ByteBuffer bytes(ByteBuffer in, int size) {
        ByteBuffer part = in.slice(in.position(), size);
        in.position(in.position() + size);
        return part;
    }

    /** What {@link #read} reads: lists, byte arrays, integers, booleans. */
    static byte[] write(Object value) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            write(value, out);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    private static void write(Object value, DataOutputStream out) throws IOException {
        if (value instanceof List<?> values) {
            out.writeByte(0xdd);
            out.writeInt(values.size());
            for (Object one : values) {
                write(one, out);
            }
        } else if (value instanceof byte[] bytes) {
            out.writeByte(0xc6);
            out.writeInt(bytes.length);
            out.write(bytes);
        } else if (value instanceof Boolean flag) {
            out.writeByte(flag ? 0xc3 : 0xc2);
        } else {
            out.writeByte(0xd3);
            out.writeLong(((Number) value).longValue());
        }
    }
}
