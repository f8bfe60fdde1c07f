"""Topics of which nothing is counted: no success of ``run --until-end`` and ``verify``, and no ready run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from streamagg.errors import ExitCode
from tests.integration.conftest import RunFactory
from tests.support.health import events, wait_for_reasons
from tests.support.pipeline import Feed, Run, record

pytestmark = pytest.mark.kafka

CANARY = "CANARY"
T0 = 1_468_244_384
MS_HINT = "`ts` holds 1468244384000: that is a time in milliseconds, give --time-unit ms"


def milliseconds(number: int) -> bytes:
    return json.dumps({"ts": (T0 + number) * 1_000, "uid": f"{CANARY}{number}"}).encode()


def other_names(number: int) -> bytes:
    return json.dumps({"timestamp": T0 + number, "user_id": f"{CANARY}{number}"}).encode()


def iso8601(number: int) -> bytes:
    return json.dumps({"ts": f"2016-07-11T13:39:{number % 60:02}Z", "uid": f"{CANARY}{number}"}).encode()


def utf16(number: int) -> bytes:
    return record(T0 + number, f"{CANARY}{number}").decode().encode("utf-16")


MISFITS: list[tuple[Callable[[int], bytes], str, str]] = [
    (milliseconds, "bad_time", MS_HINT),
    (other_names, "missing_field", "the records have no `ts` and no `uid`; they have `timestamp`, `user_id`"),
    (iso8601, "bad_time", "`ts` holds 2016-07-11T13:39:"),
    (utf16, "bad_json", "the records are UTF-16 text, and must be JSON in UTF-8"),
]


def ended(run: Run, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and log of a run to the end."""
    with run.start("--until-end", "--log-format", "json", *flags, level="info") as instance:
        code = instance.wait()
        assert CANARY not in instance.log
        return code, events(instance)


def verified(run: Run, *flags: str) -> tuple[int, str]:
    """Exit code and words of ``streamagg verify``."""
    own = run.arguments()
    group = own.index("--group")
    del own[group : group + 2]
    found = subprocess.run(
        [sys.executable, "-m", "streamagg", "verify", *own, *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert CANARY not in found.stdout + found.stderr
    return found.returncode, found.stderr


def named(lines: list[dict[str, Any]], event: str) -> dict[str, Any]:
    """The fields of the one line of an event."""
    (line,) = [line for line in lines if line["event"] == event]
    fields: dict[str, Any] = line["fields"]
    return fields


@pytest.mark.parametrize(
    ("make", "reason", "hint", "more"),
    [*((*misfit, ("--inline",)) for misfit in MISFITS), (*MISFITS[0], ("--unmarshallers", "2"))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_run_to_the_end_that_rejects_everything_says_what_would_fit(
    make: Callable[[int], bytes], reason: str, hint: str, more: Sequence[str], new_run: RunFactory
) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(map(make, range(400)))
    code, log = ended(run, *more)
    assert code == ExitCode.NOTHING_COUNTED, log
    warning = named(log, "records_misfit")
    assert (warning["records"], warning["misfits"]) == (400, 400)
    assert warning["hint"].startswith(hint)
    assert named(log, "finished")["reasons"] == {reason: 400}
    failed = named(log, "failed")
    assert failed["exit_code"] == 7
    assert hint in failed["error"]


def test_verify_has_nothing_to_compare_then_and_says_why(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(map(milliseconds, range(50)))
    assert ended(run, "--inline")[0] == ExitCode.NOTHING_COUNTED
    code, words = verified(run)
    assert code == ExitCode.NOTHING_COUNTED
    assert MS_HINT in words


def test_verify_of_empty_topics_is_no_success_but_a_run_over_one_is(new_run: RunFactory) -> None:
    run = new_run()
    assert ended(run, "--inline")[0] == ExitCode.OK
    code, words = verified(run)
    assert code == ExitCode.NOTHING_COUNTED
    assert "There was nothing to compare: 0 windows recounted" in words


def test_verify_before_anything_is_published_is_no_success(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(record(T0 + number) for number in range(50))
    code, words = verified(run, "--allow-open")
    assert code == ExitCode.NOTHING_COUNTED
    assert "not published yet" in words
    assert ended(run, "--inline")[0] == ExitCode.OK
    assert verified(run)[0] == ExitCode.OK


def test_seconds_read_as_milliseconds_are_published_and_no_success(new_run: RunFactory) -> None:
    run = new_run()
    run = replace(run, decode=replace(run.decode, time_unit="ms"))
    Feed(run.bootstrap, run.input).send(record(T0 + number, f"{CANARY}{number}") for number in range(1_200))
    code, log = ended(run, "--inline")
    assert code == ExitCode.NOTHING_COUNTED
    warning = named(log, "records_misfit")
    assert warning["fate"] == "lie before 2001"
    assert warning["hint"] == f"`ts` holds {T0}: that is a time in seconds, give --time-unit s"
    assert list(run.counts()) == [T0 // 10_000 * 10]
    code, words = verified(run)
    assert code == ExitCode.NOTHING_COUNTED
    assert "lie before 2001" in words


def test_times_a_day_ahead_of_kafkas_are_told(new_run: RunFactory) -> None:
    """Kafka's time is that of the records themselves, which may be years ago."""
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    for number in range(100):
        feed.enqueue(record(T0 + 2 * 86_400 + number / 10), timestamp_ms=T0 * 1_000)
    feed.flush()
    code, log = ended(run, "--inline")
    assert code == ExitCode.OK
    assert named(log, "records_misfit")["fate"] == "lie more than a day ahead of Kafka's time"


def test_a_run_goes_on_and_is_not_ready_until_a_record_is_counted(new_run: RunFactory) -> None:
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    feed.send(map(milliseconds, range(1_000)))
    with run.start("--inline", "--http", "127.0.0.1:0", level="info") as instance:
        wait_for_reasons(instance, f"none of the records is counted: {MS_HINT}")
        now_s = int(time.time())
        feed.send(record(now_s + number / 10) for number in range(50))
        wait_for_reasons(instance)
        assert instance.log.count("records are rejected (bad_time 1,000)") == 1
        assert CANARY not in instance.log
