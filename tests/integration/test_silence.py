"""Acceptance 5: a topic falls silent, and its last window comes out all the same."""

import time

import pytest

from streamagg.model.settings import WindowSettings
from tests.integration.conftest import RunFactory
from tests.support.instances import wait_until
from tests.support.pipeline import Feed, record

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SHORT = WindowSettings(granularity_ms=2_000, max_lag_ms=1_000, max_jump_ms=3_000)
IDLE_S = 2.0
GRACE_S = 8.0
"""A busy machine is late; without idle partitions the window would never come."""


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_last_window_is_out_in_time(partitions: int, new_run: RunFactory) -> None:
    run = new_run(partitions, window=SHORT)
    with run.start("--idle-timeout", f"{IDLE_S:g}s") as instance:
        instance.wait_for("leading:")
        feed = Feed(run.bootstrap, run.input)
        now_s = time.time()
        feed.send([record(now_s, f"u{i}") for i in range(7)], partition=0)
        silent = time.monotonic()
        start = int(now_s) // 2 * 2
        due_s = start + 2 + 1 - now_s
        wait_until(lambda: bool(run.published()), "the last window")
        took_s = time.monotonic() - silent
        assert run.counts() == {start: 7}
        # The other partitions never had a record: they are silent from the start.
        assert took_s <= max(due_s, 0) + IDLE_S + GRACE_S, instance.log
        # Out of reach of the clock, and too few to confirm each other: they are believed in the next silence.
        later_s = time.time()
        assert later_s - now_s > SHORT.max_jump_ms / 1_000
        feed.send([record(later_s, "later")] * 3, partition=0)
        wait_until(lambda: len(run.published()) == 2, "the window after the silence")
        assert run.counts() == {start: 7, int(later_s) // 2 * 2: 1}


def test_a_silent_partition_holds_nobody_up(new_run: RunFactory) -> None:
    """Partition 1 stops; partition 0 goes on, and its windows come out."""
    run = new_run(2, window=SHORT)
    with run.start("--idle-timeout", f"{IDLE_S:g}s") as instance:
        instance.wait_for("leading:")
        feed = Feed(run.bootstrap, run.input)
        begin = time.time()
        feed.send([record(begin)], partition=1)

        def window_out() -> bool:
            feed.send([record(time.time())], partition=0)
            return len(run.published()) >= 2

        assert wait_until(window_out, "two windows", 15) < 15
