package io.streamagg.core;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PartitionClockTest {
    private static final class Heard implements Verdicts {
        private final List<List<Long>> counted = new ArrayList<>();
        private final List<List<Long>> late = new ArrayList<>();
        private final List<Long> future = new ArrayList<>();
        private final List<List<Long>> jumps = new ArrayList<>();
        private long step;

        @Override
        public void counted(Row row, long clockMs) {
            counted.add(List.of(row.offset(), clockMs, step));
        }

        @Override
        public void late(Row row, long clockMs) {
            late.add(List.of(row.offset(), clockMs, step));
        }

        @Override
        public void future(Row row) {
            future.add(row.offset());
        }

        @Override
        public void jump(long beforeMs, long timeMs) {
            jumps.add(List.of(beforeMs, timeMs));
        }
    }

    @Test
    void everyRecordGetsTheVerdictThatItDoesInPython() {
        Conformance.each("clocks", 2_000, PartitionClockTest::check);
    }

    private static void check(Fields line) {
        List<Object> rules = line.values("windows");
        Windows windows = new Windows(
                Fields.number(rules.get(0)), Fields.number(rules.get(1)), Fields.number(rules.get(2)),
                Fields.number(rules.get(3)));
        Heard heard = new Heard();
        PartitionClock clock = new PartitionClock(windows, PartitionState.begin(line.flag("inside")), heard);
        Map<Long, Long> silences = new HashMap<>();
        for (Object silence : line.values("silences")) {
            silences.put(Fields.number(((List<?>) silence).get(0)), Fields.number(((List<?>) silence).get(1)));
        }
        long fed = 0;
        for (Object record : line.values("records")) {
            List<?> parts = (List<?>) record;
            heard.step = Fields.number(parts.get(0));
            long timeMs = Fields.number(parts.get(1));
            clock.feed(new Row(0, heard.step, timeMs, 0, null, new long[0]), (Boolean) parts.get(2));
            heard.step++;
            fed++;
            if (silences.containsKey(fed)) {
                int waited = clock.setAside();
                boolean believes = clock.believes(silences.get(fed));
                clock.believe(silences.get(fed));
                assertEquals(believes, clock.setAside() < waited);
            }
            if (fed % 7 == 0) {
                byte[] state = Conformance.written(clock.state()::write);
                clock = new PartitionClock(windows, Conformance.read(state, PartitionState::read), heard);
            }
        }
        if (line.flag("ended")) {
            clock.end();
        }
        assertEquals(line.values("counted").toString(), heard.counted.toString());
        assertEquals(line.values("late").toString(), heard.late.toString());
        assertEquals(line.values("future").toString(), heard.future.toString());
        assertEquals(line.values("jumps").toString(), heard.jumps.toString());
        assertState(line.object("state"), clock.state());
    }

    private static void assertState(Fields expected, PartitionState state) {
        assertEquals(expected.integerOrNull("clock_ms"), state.clockMs());
        assertEquals(expected.integer("agreement"), state.agreement());
        assertEquals(expected.integerOrNull("partial_through"), state.partialThrough());
        List<List<Long>> setAside = new ArrayList<>();
        for (PartitionState.SetAside waiting : state.setAside()) {
            setAside.add(List.of(waiting.row().offset(), (long) waiting.lead()));
        }
        assertEquals(expected.values("set_aside").toString(), setAside.toString());
    }
}
