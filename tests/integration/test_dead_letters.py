"""What a dead-letter topic holds, and that it never stops the stream."""

import json
import re
import signal
from pathlib import Path

import pytest
from confluent_kafka import Message

from streamagg.sources.kafka import fetching
from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.instances import wait_until
from tests.support.pipeline import Feed, Run, read_all, record
from tests.support.published import faults

pytestmark = pytest.mark.kafka
T0 = 1_468_244_380
TWO_YEARS_AGO_MS = 1_700_000_000_000
LATER_MS = 1_700_000_001_500


def headers(letter: Message) -> dict[str, str]:
    """The headers of a record as text, which are as the schema says."""
    found = {name: (value or b"").decode() for name, value in letter.headers() or []}
    assert faults(found, "dead_letter_headers") == []
    return found


def letters_by_place(run: Run, topic: str) -> dict[tuple[int, int], Message]:
    """Dead letters by partition and offset of their records; none is there twice."""
    every = list(read_all(run.bootstrap, topic))
    placed = {(int(headers(m)["partition"]), int(headers(m)["offset"])): m for m in every}
    assert len(placed) == len(every)
    return placed


@pytest.mark.parametrize("native", [True, False])
def test_a_letter_is_the_record_as_it_came(
    native: bool, new_run: RunFactory, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if native:
        assert fetching.load_native(), "the fetcher in C was not built"
    else:
        # What workers import first, and so nothing is found in the package.
        (tmp_path / "sitecustomize.py").write_text(
            "import sys\nsys.modules['streamagg.sources.kafka._fetcher'] = None\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run, dead = new_run(2), topic("dead")
    feed = Feed(run.bootstrap, run.input, 2)
    for number in range(40):
        feed.enqueue(record(T0 + number), partition=number % 2, timestamp_ms=TWO_YEARS_AGO_MS)
    bad = b'{"ts": \xff\x00 broken'
    feed.enqueue(bad, partition=1, key=b"k\x00\xff", timestamp_ms=TWO_YEARS_AGO_MS)
    feed.enqueue(None, partition=0, key=b"gone", timestamp_ms=LATER_MS)
    feed.enqueue(b"", partition=0, timestamp_ms=LATER_MS)
    feed.enqueue(record(4_102_444_800, "liar"), partition=1, key=b"far", timestamp_ms=LATER_MS)
    for number in range(40, 120):
        feed.enqueue(record(T0 + number), partition=number % 2, timestamp_ms=TWO_YEARS_AGO_MS)
    feed.flush()
    stats = run.until_end("--unmarshallers", "2", "--dead-letter", dead)
    assert stats["rejected"] == {"bad_json": 2, "tombstone": 1, "future": 1}
    found = {place: (m.key(), m.value(), headers(m)) for place, m in letters_by_place(run, dead).items()}

    def told(reason: str, partition: int, offset: int, timestamp_ms: int) -> dict[str, str]:
        return {
            "reason": reason,
            "topic": run.input,
            "partition": str(partition),
            "offset": str(offset),
            "timestamp": str(timestamp_ms),
        }

    assert found == {
        (1, 20): (b"k\x00\xff", bad, told("bad_json", 1, 20, TWO_YEARS_AGO_MS)),
        (0, 20): (b"gone", None, told("tombstone", 0, 20, LATER_MS)),
        (0, 21): (None, b"", told("bad_json", 0, 21, LATER_MS)),
        (1, 21): (
            b"far",
            record(4_102_444_800, "liar"),
            told("future", 1, 21, LATER_MS),
        ),
    }
    run.check()


def test_what_the_topic_is_too_small_for_is_left_out(new_run: RunFactory, topic: TopicFactory) -> None:
    """A broker refuses whole batches: what would fit alone is sent alone."""
    run, dead = new_run(), topic("dead", config={"max.message.bytes": "20000"})
    large, small = [b"x" * 30_000, b"y" * 25_000], [b"z" * 4_000] * 30
    Feed(run.bootstrap, run.input).send([record(T0), *small, *large, *small, record(T0 + 1)])
    stats = run.until_end("--inline", "--dead-letter", dead)
    assert stats["rejected"] == {"bad_json": 62}
    letters = letters_by_place(run, dead)
    left_out = {place: headers(m)["omitted"] for place, m in letters.items() if "omitted" in headers(m)}
    assert left_out == {(0, 31): "30000", (0, 32): "25000"}
    assert all(letters[place].value() is None for place in left_out)
    whole = [m.value() for place, m in letters.items() if place not in left_out]
    assert whole == small + small
    run.check()


def test_many_from_the_future_hold_nothing_up(new_run: RunFactory, topic: TopicFactory) -> None:
    """More than go into one publication, and no window closes meanwhile."""
    run, dead = new_run(), topic("dead")
    liar = [record(4_102_444_800 + i, "liar") for i in range(600)]
    rows = [row for i in range(600) for row in (*[record(T0 + i / 100)] * 40, liar[i])]
    Feed(run.bootstrap, run.input).send([*rows, *[record(T0 + 6)] * 40])
    stats = run.until_end("--inline", "--dead-letter", dead)
    assert (stats["rejected"], stats["restarts"], stats["windows"]) == ({"future": 600}, 0, 1)
    letters = letters_by_place(run, dead)
    assert [m.value() for _, m in sorted(letters.items())] == liar
    run.check()


def test_the_page_names_every_header(new_run: RunFactory, topic: TopicFactory) -> None:
    page = (Path(__file__).parents[2] / "docs" / "decoding.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.+?) \|", page.split("## Dead letters")[1].split("\n## ")[0], re.MULTILINE)
    run, dead = new_run(), topic("dead")
    Feed(run.bootstrap, run.input).send([record(T0), b"x" * 1_100_000])
    run.until_end("--inline", "--dead-letter", dead)
    (letter,) = read_all(run.bootstrap, dead)
    assert re.findall("`([^`]+)`", " ".join(rows)) == list(headers(letter))


def test_an_absent_topic_is_made(new_run: RunFactory) -> None:
    run = new_run()
    dead, late = f"{run.output}-dead", f"{run.output}-late"
    Feed(run.bootstrap, run.input).send([record(T0), b"bad", record(T0 + 14), record(T0 + 28), record(T0)])
    run.until_end("--inline", "--dead-letter", dead, "--late-topic", late)
    assert len(list(read_all(run.bootstrap, dead))) == 1
    assert [json.loads(m.value() or b"")["offset"] for m in read_all(run.bootstrap, late)] == [4]


def test_an_absent_topic_is_an_error_where_none_may_be_made(new_run: RunFactory) -> None:
    run = new_run()
    for flag in ("--dead-letter", "--late-topic"):
        code, line = run.refused(flag, f"{run.output}-absent", "--no-create-topics")
        assert (code, f"{run.output}-absent does not exist" in line) == (2, True)


def test_after_a_restart_some_may_be_there_twice(new_run: RunFactory, topic: TopicFactory) -> None:
    """The window of the first records is open when the run is stopped: all behind it is read again."""
    run, dead = new_run(), topic("dead")
    feed = Feed(run.bootstrap, run.input)
    feed.send([*[record(T0)] * 30, b"one"])
    with run.start("--inline", "--dead-letter", dead) as instance:
        wait_until(lambda: bool(list(read_all(run.bootstrap, dead))), "a dead letter")
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0
    feed.send([b"two", record(T0 + 14)])
    run.until_end("--inline", "--dead-letter", dead)
    letters = [(m.value(), headers(m)["offset"]) for m in read_all(run.bootstrap, dead)]
    assert letters == [(b"one", "30"), (b"one", "30"), (b"two", "31")]
