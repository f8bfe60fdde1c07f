"""Idempotency keys: remembered for ten minutes, by all workers, in so much memory."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamagg.ingest.seen_keys import KEPT_MS, PLACES, SeenKeys, hashes_of
from tests.support.clock import Clock

BODY, OTHER = b"bodybody", b"otherone"
KEY = b"k" * 16


def of_bucket(number: int) -> bytes:
    """A key of the first bucket."""
    return struct.pack("<QQ", 0, number + 1)


@pytest.fixture
def clock() -> Clock:
    return Clock(1.0)


@pytest.fixture
def keys(clock: Clock) -> SeenKeys:
    made = SeenKeys(PLACES, workers=2, clock=clock)
    made.begin_life()
    return made


@pytest.fixture
def others(keys: SeenKeys, clock: Clock) -> SeenKeys:
    """The same, as the second worker sees them."""
    made = SeenKeys(PLACES, workers=2, worker=1, descriptor=keys.descriptor, clock=clock)
    made.begin_life()
    return made


def test_a_key_is_done_once_whoever_is_asked(keys: SeenKeys, others: SeenKeys) -> None:
    assert keys.begin(KEY, BODY) == "new"
    assert others.begin(KEY, BODY) == keys.begin(KEY, BODY) == "busy"
    keys.done(KEY)
    assert others.begin(KEY, BODY) == keys.begin(KEY, BODY) == "done"
    assert others.begin(KEY, OTHER) == "other"


def test_what_failed_is_to_be_done_again(keys: SeenKeys, others: SeenKeys) -> None:
    keys.begin(KEY, BODY)
    keys.forget(KEY)
    assert others.begin(KEY, OTHER) == "new"


def test_a_key_is_forgotten_ten_minutes_after_it_was_done(keys: SeenKeys, clock: Clock) -> None:
    keys.begin(KEY, BODY)
    clock.seconds += 5
    keys.done(KEY)
    clock.seconds += KEPT_MS / 1_000 - 0.001
    assert keys.begin(KEY, BODY) == "done"
    clock.seconds += 0.001
    assert keys.begin(KEY, OTHER) == "new"


def test_what_a_worker_was_at_when_it_died_is_free(keys: SeenKeys, others: SeenKeys, clock: Clock) -> None:
    others.begin(KEY, BODY)
    other_key = b"o" * 16
    others.begin(other_key, BODY)
    others.done(other_key)
    again = SeenKeys(PLACES, workers=2, worker=1, descriptor=keys.descriptor, clock=clock)
    again.begin_life()
    assert keys.begin(KEY, BODY) == "new"
    assert again.begin(other_key, BODY) == "done"
    # The dead one was only slow: what it says is not believed.
    others.done(KEY)
    assert keys.begin(KEY, BODY) == "busy"


def test_a_full_memory_remembers_what_it_holds(keys: SeenKeys, clock: Clock) -> None:
    for number in range(PLACES):
        assert keys.begin(of_bucket(number), BODY) == "new"
    assert keys.begin(of_bucket(PLACES), BODY) == "full"
    keys.forget(of_bucket(7))
    assert keys.begin(of_bucket(PLACES), BODY) == "new"
    clock.seconds += KEPT_MS / 1_000
    assert keys.begin(of_bucket(PLACES + 1), BODY) == "new"


def test_a_key_across_two_others_is_none(keys: SeenKeys) -> None:
    first, second = b"\0" * 8 + b"abcdefgh", b"\0" * 8 + b"ijklmnop"
    across = b"abcdefgh" + b"\0" * 8
    assert keys.begin(first, BODY) == keys.begin(second, BODY) == keys.begin(across, BODY) == "new"


def test_memory_is_as_large_as_was_said(tmp_path: Path) -> None:
    made = SeenKeys(1_000_000, workers=4)
    assert 40_000_000 <= os.fstat(made.descriptor).st_size < 40_010_000


def test_hashes_differ_by_sender_key_body_and_query() -> None:
    first = hashes_of(b"k", b"a", b"b", b"q")
    assert [len(one) for one in first] == [16, 8]
    assert hashes_of(b"k", b"a", b"b", b"q") == first
    for other in (
        hashes_of(b"x", b"a", b"b", b"q"),
        hashes_of(b"k", b"x", b"b", b"q"),
        hashes_of(b"k", b"a", b"x", b"q"),
        hashes_of(b"k", b"a", b"b", b"x"),
    ):
        assert other != first


class Remembering(RuleBasedStateMachine):
    """Against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(1.0)
        self.keys = SeenKeys(PLACES, workers=1, clock=self.clock)
        self.keys.begin_life()
        self.known: dict[bytes, tuple[bytes, float]] = {}
        self.at_work: set[bytes] = set()

    @rule(number=st.integers(0, 5), body=st.sampled_from([BODY, OTHER]))
    def begin(self, number: int, body: bytes) -> None:
        key = of_bucket(number)
        known = self.known.get(key)
        if known is None or known[1] <= self.clock.seconds:
            expected = "new"
            self.known[key] = (body, self.clock.seconds + KEPT_MS / 1_000)
            self.at_work.add(key)
        elif known[0] != body:
            expected = "other"
        else:
            expected = "busy" if key in self.at_work else "done"
        assert self.keys.begin(key, body) == expected

    @precondition(lambda self: self.at_work)
    @rule(success=st.booleans())
    def end(self, success: bool) -> None:
        key = self.at_work.pop()
        if success:
            self.keys.done(key)
            self.known[key] = (self.known[key][0], self.clock.seconds + KEPT_MS / 1_000)
        else:
            self.keys.forget(key)
            del self.known[key]

    @rule(seconds=st.sampled_from([1, 300, 600]))
    def wait(self, seconds: int) -> None:
        self.clock.seconds += seconds

    @invariant()
    def nothing_more(self) -> None:
        assert len(self.known) <= PLACES


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=50)
