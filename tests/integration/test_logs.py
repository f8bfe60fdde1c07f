"""The log of real runs as a program reads it: one object a line, and an event at each change of state."""

import json
import os
import signal

import pytest

from tests.integration.conftest import RunFactory
from tests.support.health import events, wait_for_event
from tests.support.instances import wait_until
from tests.support.pipeline import Feed, made_records, record

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

JSON = {"STREAMAGG_LOG_FORMAT": "json"}
KEYS = ["ts", "level", "event", "message", "logger", "fields"]


def test_leaders_workers_and_silence_are_told(new_run: RunFactory) -> None:
    run = new_run(1)
    made = made_records(2_000)
    feed = Feed(run.bootstrap, run.input)
    feed.send(made)
    flags = ("--idle-timeout", "1s", "--unmarshallers", "1")
    with run.start(*flags, env=JSON) as first:
        wait_for_event(first, "partition_idle")
        with run.start(*flags, env=JSON, level="info") as second:
            wait_for_event(second, "standing_by")
            wait_for_event(second, "ready")
            (unmarshaller,) = first.workers("unmarshaller")
            os.kill(unmarshaller, signal.SIGKILL)
            wait_for_event(first, "worker_replaced")
            feed.send(made_records(2_000, seed=2))
            wait_for_event(first, "partition_busy")
            first.signal(signal.SIGTERM)
            assert first.wait() == 0
            wait_for_event(second, "leading")
            second.signal(signal.SIGTERM)
            assert second.wait() == 0
    for instance in (first, second):
        lines = events(instance)
        assert [list(line) for line in lines] == [KEYS] * len(lines)
        assert lines[-1]["event"] == "finished"
        assert [line["event"] for line in lines].count("stopping") == 1
    (leading,) = events(first, "leading")
    assert leading["fields"] == {"partitions": 1, "topic": run.input}
    (replaced,) = events(first, "worker_replaced")
    assert replaced["level"] == "warning"
    assert replaced["fields"] == {"worker": "unmarshaller-0", "pid": unmarshaller, "how": "signal 9"}
    assert events(first, "partition_idle")[0]["fields"] == {"partition": 0}
    names = [line["event"] for line in events(second)]
    assert names.index("standing_by") < names.index("ready") < names.index("leading")
    assert {line["level"] for line in events(second)} <= {"info", "warning", "error"}


def test_what_ends_a_run_is_its_last_line(new_run: RunFactory) -> None:
    run = new_run(1)
    with run.start("--no-create-topics", "--output", "nowhere", env=JSON, level="info") as instance:
        assert instance.wait() == 2
    last = events(instance)[-1]
    assert (last["event"], last["level"], last["fields"]["exit_code"]) == ("failed", "error", 2)
    assert "nowhere" in last["message"]


def test_the_counters_at_the_end_are_an_event(new_run: RunFactory) -> None:
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(1_000))
    with run.start("--until-end", "--json", env=JSON, level="info") as instance:
        assert instance.wait() == 0
    *log, result = instance.log.splitlines()
    finished = json.loads(log[-1])
    assert finished["event"] == "finished"
    assert finished["fields"]["records"] == json.loads(result)["records"] == 1_000


def test_a_partition_that_loses_records_is_told_when_it_does_and_at_the_end(new_run: RunFactory) -> None:
    run = new_run(1)
    feed = Feed(run.bootstrap, run.input)
    feed.send(record(1_700_000_000 + number) for number in range(1_000))
    with run.start(env=JSON) as instance:
        wait_for_event(instance, "ready")
        feed.send([b"{}"] * 300)
        wait_for_event(instance, "partition_uncounted")
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0
    (begun,) = events(instance, "partition_uncounted")
    assert begun["level"] == "warning"
    assert "rejected as missing_field" in begun["message"]
    (told,), (finished,) = events(instance, "uncounted_total"), events(instance, "finished")
    assert told["fields"]["rejected"] == finished["fields"]["rejected"] == 300


def test_workers_log_in_the_form_of_the_run(new_run: RunFactory) -> None:
    """An unmarshaller is made to tell of its librdkafka."""
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(100))
    with run.start("-X", "debug=fetch", "--unmarshallers", "1", env=JSON) as instance:
        wait_until(lambda: any(_is_of_worker(line) for line in events(instance)), "lines of a worker")
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0


def _is_of_worker(line: dict[str, object]) -> bool:
    return line["event"] == "kafka_client" and line["logger"] == "streamagg.sources.kafka.fetching"
