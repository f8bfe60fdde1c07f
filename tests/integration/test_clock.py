"""The wall clock is set back by an hour under a running instance, which must not fall silent for an hour."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.clock.shifted import ShiftedClock, compiler
from tests.integration.conftest import RunFactory
from tests.support.instances import wait_until
from tests.support.pipeline import QUICK_GROUP, Feed, made_records

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or compiler() is None,
        reason="the shifted clock needs Linux, glibc and a C compiler",
    ),
]
TWO_SESSIONS_S = 6.5
HOUR_S = 3_600


def test_a_member_of_the_group_goes_on_with_its_heartbeats(new_run: RunFactory, tmp_path: Path) -> None:
    run, clock = new_run(1), ShiftedClock(tmp_path)
    feed, made = Feed(run.bootstrap, run.input), made_records(10_000)
    feed.send(made[:5_000])
    with run.start("--from", "earliest", *QUICK_GROUP, env=clock.env) as instance:
        wait_until(lambda: len(run.published()) > 5, "windows")
        clock.set(-HOUR_S)
        time.sleep(TWO_SESSIONS_S)
        before = len(run.published())
        feed.send(made[5_000:])
        wait_until(lambda: len(run.published()) > before, "further windows")
        assert instance.log.count("assigned [") == 1, "it had to join once more"
        assert "starting again" not in instance.log
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0
    run.until_end(*QUICK_GROUP)
    run.check()
