package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** That streamagg reads these values too, and writes such, tests/integration/test_flink.py shows. */
class PeriodGainTest {
    private static final int SHARDS = 8;

    private static DecodeSettings settings(boolean grouped) {
        List<MeasureSettings> measures = new ArrayList<>();
        for (MeasureSettings.Op op : MeasureSettings.Op.values()) {
            measures.add(new MeasureSettings(op.name(), op, "v"));
        }
        List<String> groupBy = grouped ? List.of("g") : List.of();
        return new DecodeSettings(
                "ts", "uid", DecodeSettings.Unit.S, 1 << 20, DecodeSettings.Framing.NONE, groupBy, measures, 7);
    }

    @Test
    void whatIsWrittenIsReadByAllShardsTogether() {
        Random chance = new Random(18);
        for (int round = 0; round < 50; round++) {
            check(settings(round % 2 == 0), 1 + chance.nextInt(400), chance);
        }
    }

    private static void check(DecodeSettings decode, int rows, Random chance) {
        Map<String, Tally> before = new TreeMap<>();
        for (int offset = 0; offset < rows; offset++) {
            Row row = row(offset, chance);
            String group = decode.grouped() ? "[\"" + chance.nextInt(9) + "\"]" : "";
            before.computeIfAbsent(group, none -> new Tally(decode)).add(row);
        }
        List<byte[]> texts = decode.grouped() ? before.keySet().stream().map(PeriodGainTest::utf8).toList() : List.of();
        List<byte[]> values = PeriodGain.values(decode, false, texts, List.copyOf(before.values()));

        Map<String, Tally> after = new TreeMap<>();
        for (int shard = 0; shard < SHARDS; shard++) {
            int ours = shard;
            PeriodGain reader = new PeriodGain(decode, SHARDS, new PeriodGain.Target() {
                @Override
                public Tally tally(int of, byte[] group) {
                    String name = group == null ? "" : new String(group, StandardCharsets.UTF_8);
                    return of == ours ? after.computeIfAbsent(name, none -> new Tally(decode)) : null;
                }

                @Override
                public void drop() {
                    throw new AssertionError("nothing was dropped");
                }
            });
            values.forEach(value -> reader.take("one", value));
        }
        before.forEach((group, tally) -> assertSame(tally, after.get(group)));
        assertEquals(rows, after.get("").records());
    }

    private static Row row(int offset, Random chance) {
        double value = chance.nextInt(4) == 0 ? Double.NaN : chance.nextGaussian() * Math.pow(10, chance.nextInt(30) - 9);
        long hash = chance.nextInt(4) == 0 ? 0 : chance.nextLong();
        long[] cells = {Double.doubleToRawLongBits(value), hash};
        return new Row(chance.nextInt(3), offset, chance.nextInt(1_000), chance.nextLong() & -8, null, cells);
    }

    private static void assertSame(Tally one, Tally other) {
        assertEquals(one.records(), other.records());
        assertEquals(one.users(), other.users());
        assertEquals(Arrays.toString(one.measured()), Arrays.toString(other.measured()));
        assertArrayEquals(one.userSet().values(), other.userSet().values());
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
