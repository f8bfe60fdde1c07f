"""When a partition that stands still is held up, and how long that is borne."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any, cast

import pytest

from streamagg.errors import HeldUp, KafkaUnreachable
from streamagg.kafka.admin import Reach
from streamagg.model.batch import Standing
from streamagg.sources.contract import Source
from streamagg.sources.holding import EndWatch
from streamagg.sources.kafka.topic import CUT_SHORT, NO_LEADER, OPEN_TRANSACTION, held_by

AT = Standing(20, 50)


class AtOnce(Executor):
    """Whoever asks has the answer."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except KafkaUnreachable as error:
            future.set_exception(error)
        return future


class Bench:
    """A watch, a source with prepared answers, and a clock."""

    name = "visits"

    def __init__(self, hold_timeout_ms: int | None) -> None:
        self.now_s = 100.0
        self.standing = {3: AT}
        self.why: str | None = OPEN_TRANSACTION
        self.away = False
        self.longest_asked = 0
        self.watch = EndWatch(
            cast(Source, self), hold_timeout_ms, "nothing is published", AtOnce(), lambda: self.now_s
        )

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        if self.away:
            raise KafkaUnreachable("nobody answers")
        return {} if self.why is None else dict.fromkeys(standing, self.why)

    def hold_timeout_ms(self) -> int:
        self.longest_asked += 1
        return 60_000

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.now_s += 0.25
            self.watch.look(lambda: self.standing)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    logging.getLogger("streamagg").propagate = True
    caplog.set_level(logging.WARNING, "streamagg")
    return caplog


@pytest.mark.parametrize(
    ("reach", "why"),
    [
        (None, NO_LEADER),
        (Reach(20, 50), OPEN_TRANSACTION),
        (Reach(15, 50), OPEN_TRANSACTION),
        (Reach(20, 20), CUT_SHORT),
        (Reach(21, 50), None),
        (Reach(70, 80), None),
    ],
)
def test_the_broker_says_whether_a_partition_is_held_up_or_only_slow(
    reach: Reach | None, why: str | None
) -> None:
    assert held_by(AT, reach) == why


def test_it_is_told_once_and_ends_after_the_hold_time_out(log: pytest.LogCaptureFixture) -> None:
    bench = Bench(100_000)
    bench.wait(28)
    assert not log.messages
    bench.wait(60)
    assert log.messages == [f"partition 3 cannot be read beyond offset 20 of 50: {OPEN_TRANSACTION}"]
    with pytest.raises(HeldUp, match=r"Partition 3 of visits .* 20 of 50: .* 100 s, so that nothing is publ"):
        bench.wait(20)
    assert bench.longest_asked == 0


def test_another_reason_is_told_when_it_takes_the_place_of_the_first(log: pytest.LogCaptureFixture) -> None:
    """The broker of a partition with an open transaction is lost: what helps is another thing now."""
    bench = Bench(100_000)
    bench.wait(40)
    bench.why = NO_LEADER
    bench.wait(40)
    assert [line.rpartition(": ")[2] for line in log.messages] == [OPEN_TRANSACTION, NO_LEADER]


def test_a_short_time_out_is_told_halfway(log: pytest.LogCaptureFixture) -> None:
    bench = Bench(10_000)
    bench.wait(7)
    assert len(log.messages) == 1


def test_without_a_setting_the_source_is_asked_once_how_long_it_may_last() -> None:
    bench = Bench(None)
    bench.wait(58)
    with pytest.raises(HeldUp, match="60 s"):
        bench.wait(5)
    assert bench.longest_asked == 1


def test_who_comes_on_is_waited_for_anew() -> None:
    bench = Bench(10_000)
    for offset in range(20, 25):
        bench.standing = {3: Standing(offset, 50)}
        bench.wait(8)
    bench.standing = {}
    bench.wait(100)
    assert not bench.watch.held


def test_a_slow_reading_is_never_given_up(log: pytest.LogCaptureFixture) -> None:
    """Nor one whose broker is away: whoever reads finds that out."""
    bench = Bench(2_000)
    bench.why = None
    bench.wait(60)
    bench.away = True
    bench.wait(60)
    assert not log.messages
    assert not bench.watch.held
