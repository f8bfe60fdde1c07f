"""Acceptance 6: corrupt timestamps and every row of the conformance corpus, through Kafka."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from streamagg.model.settings import DecodeSettings
from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.corpus import CASES, payload_of
from tests.support.pipeline import Feed, made_records, read_all, record

pytestmark = pytest.mark.kafka
FAR_S = 4_102_444_800
T0 = 1_468_244_380


POLICIES = [
    {},
    {"time_unit": "iso8601"},
    {"time_unit": "ns"},
    {"time_field": "event.time", "user_field": "event.user.id"},
]
"""Settings of the corpus with the most rows; the rest differ in where fields are found."""


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_every_reason_is_counted_and_told(
    policy: dict[str, Any], new_run: RunFactory, topic: TopicFactory
) -> None:
    cases = [case for case in CASES if case.get("settings", {}) == policy]
    reasons = Counter(case["expect"]["reason"] for case in cases if "reason" in case["expect"])
    run, letters = replace(new_run(2), decode=DecodeSettings(**policy)), topic("letters")
    payloads = [payload_of(case) for case in cases]
    Feed(run.bootstrap, run.input, 2).send(payloads)
    stats = run.until_end("--inline", "--dead-letter", letters)
    # The accepted rows of the corpus lie all over time: which of them are too far ahead is not its matter.
    reasons["future"] = stats["rejected"].get("future", 0)
    assert Counter(stats["rejected"]) == reasons
    assert stats["records"] == len(cases)
    found: Counter[str] = Counter()
    for letter in read_all(run.bootstrap, letters):
        headers = dict(letter.headers() or [])
        assert headers["topic"] == run.input.encode()
        partition, offset = int(headers["partition"] or b""), int(headers["offset"] or b"")
        case = cases[2 * offset + partition]
        told = (headers["reason"] or b"").decode()
        assert case["expect"].get("reason", "future") == told, case["name"]
        found[told] += 1
        if "omitted" in headers:
            assert int(headers["omitted"] or b"") == len(payloads[2 * offset + partition] or b"")
        else:
            assert letter.value() == payloads[2 * offset + partition]
    assert found == reasons
    run.check()


def in_order(corrupt_at: Sequence[int], count: int = 400) -> list[bytes]:
    """Records a tenth of a second apart, with far-future ones put in at some places."""
    rows = [record(T0 + i / 10, f"u{i % 50}") for i in range(count)]
    for place in corrupt_at:
        rows.insert(place, record(FAR_S + place, "liar"))
    return rows


@pytest.mark.parametrize(
    "corrupt_at",
    [(0,), (200, 200), (0, 1, 100, 300), (400,)],
    ids=["first", "two in a row", "several", "last"],
)
def test_a_corrupt_timestamp_does_not_move_time(corrupt_at: tuple[int, ...], new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(in_order(corrupt_at))
    stats = run.until_end("--inline")
    liars = 0 if corrupt_at == (400,) else len(corrupt_at)
    assert stats["rejected"].get("future", 0) == liars
    assert stats["late"] == 0
    run.check()
    assert run.counts()[T0] == 50


def test_an_honest_gap_moves_time(new_run: RunFactory) -> None:
    """Far into the log, so that the reader has to go back and look at timestamps."""
    run = new_run(2)
    made = made_records(6_000, corrupt=0)
    tomorrow = [record(T0 + 86_400 + i / 10, f"u{i}") for i in range(300)]
    Feed(run.bootstrap, run.input, 2).send([*made, *tomorrow])
    stats = run.until_end("--unmarshallers", "2")
    assert stats["rejected"] == {}
    assert stats["counted"] + stats["late"] == 6_300
    run.check()


def test_live_records_need_no_votes(new_run: RunFactory) -> None:
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    feed.send([record(T0 + i / 10, "u") for i in range(100)])
    feed.send([record(time.time(), "live")])
    assert run.until_end("--inline")["rejected"] == {}
    assert run.check() == 2


def test_a_record_too_large_for_the_dead_letters(new_run: RunFactory, topic: TopicFactory) -> None:
    run, letters = new_run(), topic("letters")
    huge = b'{"ts":1,"uid":"u","x":"' + b"x" * 1_200_000 + b'"}'
    feed = Feed(run.bootstrap, run.input)
    feed.send([record(T0), huge, record(T0 + 1)])
    stats = run.until_end("--inline", "--dead-letter", letters)
    assert stats["rejected"] == {"too_large": 1}
    (letter,) = read_all(run.bootstrap, letters)
    assert letter.value() is None
    assert dict(letter.headers() or [])["omitted"] == str(len(huge)).encode()
