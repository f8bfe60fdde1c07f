"""The job on Apache Flink, on a cluster in one process: the same records as streamagg run, byte for byte."""

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from streamagg.flink import launch
from streamagg.model.settings import (
    CalendarSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    RunSettings,
)
from streamagg.tools.generate import GenerateSettings, records
from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.broker import HOST, free_port
from tests.support.flink import JOB_S, finished, hand_back, jars_made, job, refused_job, stopped
from tests.support.instances import READY_S, Instance, wait_until
from tests.support.jars import REPOSITORY
from tests.support.pipeline import QUICK_GROUP, WINDOW, Feed, Run, read_all, record

pytestmark = pytest.mark.kafka

GROUPED = DecodeSettings(
    group_by=("country", "page.section"),
    measures=(
        MeasureSettings("bytes", "sum", "bytes"),
        MeasureSettings("latency", "avg", "latency_ms"),
        MeasureSettings("first", "first", "price"),
        MeasureSettings("last", "last", "price"),
        MeasureSettings("pages", "uniques", "page.path"),
    ),
)
PERIODS = replace(
    WINDOW,
    calendars=(
        CalendarSettings("20s", 20_000),
        CalendarSettings("1m", 60_000),
        CalendarSettings("hour", 3_600_000),
    ),
)
QUICK = ("--checkpoint-interval", "300ms", *QUICK_GROUP)


@pytest.fixture(scope="module", autouse=True)
def _jars() -> Iterator[None]:
    with jars_made():
        yield


def visits(count: int) -> list[bytes]:
    """Records with groups and measures, some late, some broken, of eleven windows for each 5,000."""
    made = GenerateSettings(
        count, users=500, rate=40, size_bytes=250, disorder=0.1, max_delay_s=12, corrupt=0.01, visits=True
    )
    return [line for lines in records(made) for line in lines]


@pytest.mark.parametrize(
    "parallelism", [2, pytest.param(1, marks=pytest.mark.flink), pytest.param(4, marks=pytest.mark.flink)]
)
def test_a_job_publishes_what_a_run_does(parallelism: int, new_run: RunFactory, topic: TopicFactory) -> None:
    run = new_run(4, window=PERIODS, decode=GROUPED)
    Feed(run.bootstrap, run.input, 4).send(visits(3_000))
    own = run.on(topic("flink"))
    late, dead = topic("late"), topic("dead")

    told = finished(own, "--parallelism", str(parallelism), "--late-topic", late, "--dead-letter", dead)

    assert own.check(allow_open=True) > 100
    run_late, run_dead = topic("late"), topic("dead")
    stats = run.until_end("--late-topic", run_late, "--dead-letter", run_dead)
    ours, theirs = contents(own, own.output), contents(run, run.output)
    assert windows(ours) == windows(theirs)
    assert sorted(ours) == sorted(theirs)
    assert sorted(contents(run, late)) == sorted(contents(run, run_late))
    assert sorted(letters(run, dead)) == sorted(letters(run, run_dead))
    assert told["records_counted_total"] == stats["counted"]
    assert told["records_late_total"] == stats["late"] > 0


@pytest.mark.flink
def test_windows_may_stay_open_at_the_end(new_run: RunFactory, topic: TopicFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send([record(1_700_000_000 + i) for i in range(60)])
    own = run.on(topic("flink"))
    finished(own, "--keep-open")
    run.until_end("--keep-open")
    assert contents(own, own.output) == contents(run, run.output)
    assert len(own.published()) == 5


def contents(run: Run, topic: str) -> list[tuple[bytes, bytes]]:
    return [(message.key() or b"", message.value() or b"") for message in read_all(run.bootstrap, topic)]


def windows(rows: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """In their order; how many windows go out before the periods that end with them depends on time."""
    return [row for row in rows if row[0][:1].isdigit() and b"calendar" not in row[1]]


def letters(run: Run, topic: str) -> list[tuple[list[tuple[str, bytes]], bytes]]:
    return [
        (message.headers() or [], message.value() or b"")  # type: ignore[misc]
        for message in read_all(run.bootstrap, topic)
    ]


def rest(run: Run, *more: str) -> None:
    """A job that goes on until silence has closed all windows, which the recount agrees with."""

    missing = [one for one in run.verify().differences if one.calendar is None]
    last = str(max(one.window_ms or 0 for one in missing) // 1_000).encode()
    with job(run, *more, "--idle-timeout", "2s"):
        wait_until(lambda: last in dict(contents(run, run.output)), "the last window", JOB_S)
    run.check(allow_open=True)


@pytest.mark.flink
def test_a_job_that_is_killed_and_restored_twice_loses_and_doubles_nothing(
    new_run: RunFactory, tmp_path: Path
) -> None:
    run = new_run(4, window=PERIODS, decode=GROUPED)
    feed, made, kept = Feed(run.bootstrap, run.input, 4), visits(4_500), tmp_path / "kept"
    flags = (*QUICK, "--idle-timeout", "10m", "--checkpoints", str(kept))
    savepoint: tuple[str, ...] = ()
    for begin in (0, 1_500):
        seen = len(run.published())
        feed.send(made[begin : begin + 1_500])
        with job(run, *flags, *savepoint) as process:
            wait_until(lambda seen=seen: len(run.published()) > seen, "new windows", JOB_S)  # type: ignore[misc]
            process.kill()
        savepoint = ("--savepoint", str(kept))
    feed.send(made[3_000:])
    rest(run, *flags, *savepoint)


@pytest.mark.flink
def test_a_job_goes_on_from_a_savepoint_with_another_parallelism(new_run: RunFactory, tmp_path: Path) -> None:
    run = new_run(4, window=PERIODS, decode=GROUPED)
    feed, made = Feed(run.bootstrap, run.input, 4), visits(3_000)
    flags = (*QUICK, "--idle-timeout", "10m", "--checkpoints", str(tmp_path / "kept"))
    feed.send(made[:1_500])
    with job(run, *flags, "--parallelism", "2") as process:
        wait_until(lambda: bool(run.published()), "the first windows", JOB_S)
        savepoint = stopped(process)
    feed.send(made[1_500:])

    other = replace(run, window=replace(run.window, max_lag_ms=run.window.max_lag_ms + 1_000))
    with job(other, *flags, "--savepoint", savepoint) as process:
        assert process.wait(JOB_S) == 2
    assert "other settings" in (run.directory / "flink.log").read_text()

    rest(run, *flags, "--savepoint", savepoint, "--parallelism", "4")


@pytest.mark.flink
def test_partitions_that_are_silent_do_not_hold_windows_open(new_run: RunFactory) -> None:
    run = new_run(3)
    Feed(run.bootstrap, run.input).send([record(1_700_000_000 + i) for i in range(60)], partition=1)
    with job(run, *QUICK, "--idle-timeout", "1s"):
        # More than the clock of the one partition closes: time goes on by the wall clock.
        wait_until(
            lambda: sum(run.counts().values()) >= 1 and records_counted(run) == 60, "all windows", JOB_S
        )
    run.check()


def records_counted(run: Run) -> int:
    return sum(json.loads(value)["records"] for value in run.published())


def test_what_a_job_cannot_keep_is_refused(new_run: RunFactory) -> None:
    run = new_run()
    with job(run, "--until-end", "-X", "socket.keepalive.enable=true") as process:
        assert process.wait(READY_S) == 2
    assert "socket.keepalive.enable" in (run.directory / "flink.log").read_text()


@pytest.mark.flink
def test_a_window_above_the_ceiling_stops_a_job(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send([record(1_700_000_000, str(user)) for user in range(30)])
    with job(run, "--until-end", "--max-users", "29") as process:
        assert process.wait(JOB_S) == 6
    assert "--max-users" in (run.directory / "flink.log").read_text()
    assert run.published() == []


NEVER_IDLE = ("--idle-timeout", "10m")
REPORTER = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
DEPLOYED = REPOSITORY / "deploy" / "flink"


def more_windows(run: Run) -> Callable[[], bool]:
    """Whether more is published than now."""
    seen = len(run.published())
    return lambda: len(run.published()) > seen


def end(daemon: Instance) -> None:
    """It commits how far it has read, and leaves."""
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.log


@pytest.mark.flink
@pytest.mark.parametrize("killed", [False, True])
def test_counts_move_from_a_daemon_to_a_job_and_back(
    killed: bool, new_run: RunFactory, topic: TopicFactory, tmp_path: Path
) -> None:
    run = new_run(4, window=PERIODS, decode=GROUPED)
    feed, made, late = Feed(run.bootstrap, run.input, 4), visits(6_000), topic("late")
    flags = ("--late-topic", late)
    job_flags = (*QUICK, *NEVER_IDLE, *flags, "--checkpoints", str(tmp_path / "kept"))

    feed.send(made[:2_000])
    with run.start(*NEVER_IDLE, *flags, *QUICK_GROUP) as daemon:
        wait_until(lambda: bool(run.published()), "the first windows", READY_S)
        end(daemon)
    with job(run, *job_flags) as process:
        feed.send(made[2_000:4_000])
        wait_until(more_windows(run), "windows of the job", JOB_S)
        if killed:
            process.kill()
            savepoint = str(tmp_path / "kept")
        else:
            savepoint = stopped(process)
    # By the mark, or because the group waits for a job that was killed.
    assert run.refused(*flags)[0] == 2
    feed.send(made[4_000:])
    code, said = hand_back(run, *flags, *QUICK_GROUP, "--savepoint", savepoint)
    assert code == 0, said
    run.until_end(*flags)

    run.check(allow_open=True)
    same, run_late = run.on(topic("same")), topic("late")
    same.until_end("--late-topic", run_late)
    assert sorted(contents(run, run.output)) == sorted(contents(same, same.output))
    assert sorted(contents(run, late)) == sorted(contents(run, run_late)) != []
    assert "leave --savepoint out" in refused_job(run, *job_flags, "--savepoint", savepoint)


@pytest.mark.flink
def test_counts_are_of_one_of_daemon_and_job(new_run: RunFactory, tmp_path: Path) -> None:
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    feed.send([record(1_700_000_000 + i) for i in range(60)])
    with run.start(*NEVER_IDLE) as daemon:
        wait_until(lambda: bool(run.published()), "the first windows", READY_S)
        assert "somebody is at work" in refused_job(run, *QUICK, *NEVER_IDLE)
        end(daemon)
    assert "those of streamagg run" in hand_back(run)[1]
    assert "--until-end cannot be given" in refused_job(run, "--until-end")
    # A job that does not get as far as its first checkpoint.
    with job(run, *QUICK, *NEVER_IDLE, "--checkpoint-interval", "5m") as process:
        wait_until(lambda: "runs." in (run.directory / "flink.log").read_text(), "the job", JOB_S)
        process.kill()
    assert "a job on Flink goes on" in run.refused()[1]
    code, said = hand_back(run, *QUICK_GROUP)
    assert code == 0, said

    flags = (*QUICK, *NEVER_IDLE, "--checkpoints", str(tmp_path / "kept"))
    with job(run, *flags) as process:
        feed.send([record(1_700_000_060 + i) for i in range(60)])
        wait_until(more_windows(run), "windows of the job", JOB_S)
        assert "somebody is at work" in hand_back(run, "--savepoint", str(tmp_path / "kept"))[1]
        assert run.refused()[0] == 2
        process.kill()
    assert "continue it with --savepoint" in refused_job(run, *flags)
    assert "the job has published" in hand_back(run)[1]
    assert hand_back(run, "--savepoint", str(tmp_path / "kept"))[0] == 0
    run.until_end()
    run.check()


@pytest.mark.flink
def test_records_later_than_max_lag_are_those_of_a_run(new_run: RunFactory, topic: TopicFactory) -> None:
    run, late = new_run(4), topic("late")
    made = GenerateSettings(20_000, users=500, rate=40, size_bytes=180, disorder=0.3, max_delay_s=60)
    Feed(run.bootstrap, run.input, 4).send([line for lines in records(made) for line in lines])
    own = run.on(topic("flink"))
    told = finished(own, "--late-topic", late)
    run_late = topic("late")
    stats = run.until_end("--late-topic", run_late)
    assert told["records_late_total"] == stats["late"] > 4_000
    assert sorted(contents(run, late)) == sorted(contents(run, run_late))
    assert contents(own, own.output) == contents(run, run.output)


@pytest.mark.flink
def test_prometheus_finds_what_the_alerts_ask_for(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send([record(1_700_000_000 + i) for i in range(60)])
    port, kafka = free_port(), KafkaSettings(run.bootstrap, group=run.output)
    plan, settings = launch.Plan(1, 300), RunSettings(run.input, run.output, run.window, kafka=kafka)
    reporter = {"factory.class": REPORTER, "port": port}
    command = [
        *launch._command(plan, debug=False),
        *(f"metrics.reporter.prom.{name}={value}" for name, value in reporter.items()),
    ]
    environment = launch._environment(launch._begun(settings, plan, None))
    with subprocess.Popen(command, env=environment) as process:
        try:
            wait_until(lambda: bool(run.published()), "the first windows", JOB_S)
            reported = urlopen(f"http://{HOST}:{port}/metrics", timeout=READY_S).read().decode()
        finally:
            process.kill()
    names = set(re.findall(r"^(\w+)[{ ]", reported, re.MULTILINE))
    (scrape,) = yaml.safe_load((DEPLOYED / "prometheus.yaml").read_text())["scrape_configs"]
    (relabel,) = scrape["metric_relabel_configs"]
    names |= {re.sub(f"^{relabel['regex']}$", r"streamagg_\1", name) for name in names}
    (group,) = yaml.safe_load((DEPLOYED / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]:
        assert set(re.findall(r"\b(?:flink|streamagg)_\w+", rule["expr"])) <= names
