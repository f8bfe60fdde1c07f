package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class LongSetTest {
    @Test
    void itHoldsWhatASetHolds() {
        Random chance = new Random(18);
        for (int size : new int[] {0, 1, 5, 6, 1_000, 50_000}) {
            TreeSet<Long> expected = new TreeSet<>();
            LongSet one = new LongSet();
            LongSet other = new LongSet();
            for (int i = 0; i < size; i++) {
                long value = chance.nextInt(4) == 0 ? chance.nextInt(3) - 1 : chance.nextLong();
                LongSet set = chance.nextBoolean() ? one : other;
                set.add(value);
                expected.add(value);
                assertFalse(set.add(value));
            }
            one.addAll(other);
            LongSet copy = Conformance.read(Conformance.written(one::write), LongSet::read);
            assertArrayEquals(expected.stream().mapToLong(value -> value).toArray(), copy.values());
            assertEquals(expected.size(), copy.size());
        }
    }
}
