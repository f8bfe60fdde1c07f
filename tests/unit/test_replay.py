"""What a replay needs before it meets Kafka: settings, pace, keys, the stop switch."""

import json
import signal
from collections import Counter

import pytest

from streamagg.cli.replay import _judge, as_json, as_text, number_with_unit
from streamagg.errors import SettingsError, StreamaggError
from streamagg.kafka.sender import SendStats, key_of
from streamagg.model.settings import DecodeSettings, KafkaSettings
from streamagg.tools.pace import GAP_MS, EventTimePace, SteadyPace
from streamagg.tools.replay import ReplaySettings, ReplayStats, Stopped, StopSwitch


def record(time_s: float) -> bytes:
    return json.dumps({"ts": time_s, "uid": "u"}).encode()


def test_a_steady_pace_spreads_records_evenly() -> None:
    pace = SteadyPace(200)
    assert [pace.due_ms(b"") for _ in range(4)] == [0, 5, 10, 15]


def test_the_pace_of_event_time_is_a_multiple_of_it() -> None:
    #   event time   100  100  103  101 (late: goes at once)  113
    #   due at 10x     0    0  0.3  0.3                       1.3 s
    pace = EventTimePace(10, DecodeSettings(), Counter())
    assert [pace.due_ms(record(time_s)) for time_s in (100, 100, 103, 101, 113)] == [0, 0, 300, 300, 1_300]


def test_records_without_a_time_go_at_once_and_are_counted() -> None:
    untimed: Counter[str] = Counter()
    pace = EventTimePace(1, DecodeSettings(), untimed)
    payloads = (b"{", record(5), b"", b'{"time":7}', b'{"ts":"soon"}', b'{"ts":-1}', record(6))
    assert [pace.due_ms(payload) for payload in payloads] == [0, 0, 0, 0, 0, 0, 1_000]
    assert untimed == {"bad_json": 2, "missing_field": 1, "bad_time": 2}


def test_the_time_of_a_record_needs_no_user() -> None:
    pace = EventTimePace(1, DecodeSettings(), Counter())
    assert [pace.due_ms(b'{"ts":5}'), pace.due_ms(b'{"ts":7,"uid":[]}')] == [0, 2_000]


def test_a_broken_timestamp_is_not_waited_for() -> None:
    pace = EventTimePace(1, DecodeSettings(), Counter())
    assert [pace.due_ms(record(time_s)) for time_s in (100, 9e9, 101, 8e7, 102)] == [
        0,
        0,
        1_000,
        1_000,
        2_000,
    ]


def test_a_long_gap_is_skipped_and_time_goes_on_behind_it() -> None:
    behind_s = 100 + 2 * GAP_MS / 1_000
    pace = EventTimePace(1, DecodeSettings(), Counter())
    times_s = (100, behind_s, behind_s + 1, behind_s + 3)
    assert [pace.due_ms(record(time_s)) for time_s in times_s] == [0, 0, 0, 2_000]


@pytest.mark.parametrize(
    ("payload", "path", "key"),
    [
        (b'{"uid":"z\\u00fc"}', "uid", "zü".encode()),
        (b'{"uid":17}', "uid", b"17"),
        (b'{"a":{"b":"c"}}', "a.b", b"c"),
        (b'{"uid":true}', "uid", None),
        (b'{"uid":null}', "uid", None),
        (b'{"a":"text"}', "a.b", None),
        (b'{"other":1}', "uid", None),
        (b"[1]", "uid", None),
        (b"{", "uid", None),
    ],
)
def test_the_key_is_the_text_of_a_field(payload: bytes, path: str, key: bytes | None) -> None:
    assert key_of(payload, path.split(".")) == key


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 1.0, "speed": 1.0},
        {"rate": 0.0},
        {"speed": float("inf")},
        {"partitions": 0},
        {"key_field": "a..b"},
        {"compression": "zip"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        ReplaySettings(**{"source": "f", "topic": "t", "kafka": KafkaSettings(), **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "number"), [("10x", 10), ("0.5x", 0.5), ("3", 3)])
def test_numbers_may_carry_their_unit(text: str, number: float) -> None:
    assert number_with_unit("--speed", text, "x") == number


@pytest.mark.parametrize("text", ["x", "-1", "1e3", "10/s", "inf", ""])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--speed"):
        number_with_unit("--speed", text, "x")


def test_the_first_signal_asks_and_the_second_ends() -> None:
    stop, before = StopSwitch(), signal.getsignal(signal.SIGINT)
    with stop.installed():
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_ends_the_wait_for_input() -> None:
    stop = StopSwitch()
    stop.waiting_for_input = True
    with stop.installed(), pytest.raises(Stopped):
        signal.raise_signal(signal.SIGTERM)


def test_the_outcome_in_words_and_as_json() -> None:
    sent = SendStats(records=1_000, bytes=2_200_000)
    sent.fail("Broker: too large", 2)
    stats = ReplayStats(sent, seconds=0.5, interrupted=True)
    assert as_text(stats, "t") == "Stopped: 998 records (2.2 MB) delivered to t in 0.5 s, 2,000 records/s"
    assert json.loads(as_json(stats)) == {
        "records": 1_000,
        "delivered": 998,
        "failed": 2,
        "reasons": {"Broker: too large": 2},
        "without_key": 0,
        "without_time": {},
        "bytes": 2_200_000,
        "seconds": 0.5,
        "records_per_second": 2_000,
        "interrupted": True,
    }


def told(stats: ReplayStats) -> None:
    _judge(stats, ReplaySettings("f", "t", KafkaSettings(), speed=1, key_field="user"))


def test_what_some_records_lack_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told(ReplayStats(SendStats(1_000, without_key=2, untimed=Counter(bad_time=1, missing_field=8)), 1, False))
    assert capsys.readouterr().err.splitlines() == [
        "2 of 1,000 records have no text or integer at user and were sent without a key: check --key-field.",
        "9 of 1,000 records have no time to go by at ts (bad_time 1, missing_field 8) and were sent at once:"
        " check --time-field and --time-unit.",
    ]


def test_what_all_records_lack_is_a_failure() -> None:
    with pytest.raises(StreamaggError, match=r"5 of 5 records have no text or integer at user"):
        told(ReplayStats(SendStats(records=5, without_key=5), 1, False))
    with pytest.raises(
        StreamaggError, match=r"5 of 5 records have no time to go by at ts \(missing_field 5\)"
    ):
        told(ReplayStats(SendStats(5, untimed=Counter(missing_field=5)), 1, False))


def test_a_replay_in_which_nothing_is_amiss_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told(ReplayStats(SendStats(records=5), 1, False))
    told(ReplayStats(SendStats(), 1, False))
    assert capsys.readouterr().err == ""
