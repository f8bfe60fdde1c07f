"""Which records of a batch an unmarshaller finds odd, and what its block reports of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from streamagg.decode import Decoder
from streamagg.engine.reporting.examiner import Examiner, Findings
from streamagg.model.batch import Batch
from streamagg.model.settings import DecodeSettings

NOW_S = 1_790_000_000
DAY_S = 86_400
SETTINGS = DecodeSettings()


def record(time_s: int) -> bytes:
    return b'{"ts":%d,"uid":"CANARY"}' % time_s


def batch(payloads: Sequence[bytes | None], kafka_ms: Sequence[int] | None = None) -> Batch:
    timestamps = None if kafka_ms is None else np.array(kafka_ms)
    return Batch(1, 0, 0, len(payloads), -1, False, payloads, np.arange(len(payloads)), timestamps)


def findings(examiner: Examiner, of: Batch) -> Findings:
    return examiner.examine(of, Decoder(SETTINGS).decode(of.payloads))


@pytest.fixture
def examiner() -> Examiner:
    return Examiner(SETTINGS, lambda: NOW_S)


def test_good_records_tell_nothing(examiner: Examiner) -> None:
    good = [record(NOW_S - 5 * 365 * DAY_S), record(NOW_S), record(NOW_S + DAY_S)]
    assert findings(examiner, batch(good)) == Findings()
    assert findings(examiner, batch([])) == Findings()


def test_early_is_before_2001(examiner: Examiner) -> None:
    found = findings(examiner, batch([record(978_307_200), None, record(978_307_199), record(1)]))
    assert found == Findings(early=2, misfits=found.misfits)
    assert [misfit.why for misfit in found.misfits] == ["tombstone", "early"]


@pytest.mark.parametrize("kafka_ms", [None, [-1, -1, -1], [0, 0, 0]], ids=str)
def test_ahead_is_a_day_after_the_wall_clock_where_kafka_has_no_time(
    kafka_ms: list[int] | None, examiner: Examiner
) -> None:
    found = findings(examiner, batch([record(NOW_S), b"", record(NOW_S + DAY_S + 1)], kafka_ms))
    assert found == Findings(ahead=1, misfits=found.misfits)
    assert [misfit.why for misfit in found.misfits] == ["bad_json", "ahead"]


def test_ahead_is_a_day_after_kafkas_time_of_the_record_itself(examiner: Examiner) -> None:
    """In a backlog that is years older than the wall clock.

    record   ──────■ 2016-07-11 13:39:44 in all three
    Kafka    ■─────                   ─ a day and a second before, a day before, at the same time
    """
    time_s = 1_468_244_384
    kafka_ms = [(time_s - ago) * 1_000 for ago in (DAY_S + 1, DAY_S, 0)]
    assert findings(examiner, batch([record(time_s)] * 3, kafka_ms)).ahead == 1


def test_one_record_of_each_kind_is_looked_at_and_told_with_every_block(examiner: Examiner) -> None:
    first = findings(examiner, batch([b'{"ts":1468244384000,"uid":"a"}', b"x", b"y"]))
    second = findings(examiner, batch([b"z,z,z", b'{"ts":"no time","uid":"a"}']))
    assert {misfit.why for misfit in first.misfits} == {"bad_time", "bad_json"}
    assert set(second.misfits) == set(first.misfits)
    assert findings(examiner, batch([record(NOW_S)])).misfits == ()
