package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** What {@code python -m tests.flink.export} has written into the directory of the property {@code conformance}. */
final class Conformance {
    private Conformance() {}

    /** Checks each line, of which there are so many at least. */
    static void each(String name, int least, Consumer<Fields> check) {
        int[] count = {0};
        try (Stream<Fields> lines = lines(name)) {
            lines.forEach(line -> {
                check.accept(line);
                count[0]++;
            });
        }
        assertTrue(count[0] >= least, () -> "There are only " + count[0] + " lines of " + name + ".");
    }

    private static Stream<Fields> lines(String name) {
        String directory = System.getProperty("conformance", "");
        if (directory.isEmpty() || directory.startsWith("$")) {
            throw new IllegalStateException("Name the directory with -Dconformance=; make flink-test does.");
        }
        try {
            return Files.lines(Path.of(directory, name + ".jsonl")).map(Fields::parse);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** Hashes as integers, and numbers as hexadecimal text. */
    static long[] cells(List<Object> told) {
        return told.stream()
                .mapToLong(cell -> cell instanceof BigInteger hash ? hash.longValue() : bits((String) cell))
                .toArray();
    }

    private static long bits(String hexadecimal) {
        double value = hexadecimal.equals("nan") ? Double.NaN : Double.parseDouble(hexadecimal);
        return Double.doubleToLongBits(value);
    }

    interface Writer {
        void write(DataOutput out) throws IOException;
    }

    interface Reader<T> {
        T read(DataInput in) throws IOException;
    }

    static byte[] written(Writer writer) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            writer.write(new DataOutputStream(bytes));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    static <T> T read(byte[] bytes, Reader<T> reader) {
        try {
            return reader.read(new DataInputStream(new ByteArrayInputStream(bytes)));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
