"""Acceptance 2 and 3: processes die at random moments; every window comes out once, with the right value."""

import itertools
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from streamagg.tools.generate import GenerateSettings, records
from tests.integration.conftest import RunFactory
from tests.integration.test_replay_verify import streamagg
from tests.support.instances import alive, wait_until
from tests.support.pipeline import QUICK_GROUP, WINDOW, Feed, feed_slowly, lines, made_records, record
from tests.support.published import check_published

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize(("delivery", "kills"), [("exactly-once", 5), ("at-least-once", 2)])
def test_the_process_group_is_killed_again_and_again(delivery: str, kills: int, new_run: RunFactory) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    run = new_run(2)
    made = made_records(20_000)
    feeding = feed_slowly(run, made, 2)
    try:
        for _ in range(kills):
            run.kill_at_random(chance, "--delivery", delivery)
    finally:
        feeding.join()
    run.until_end("--delivery", delivery, *QUICK_GROUP)
    run.check(allow_repeats=delivery == "at-least-once")


GROUPED = (
    *("--group-by", "country", "--group-by", "page.section", "--top", "20"),
    *(
        "--measure",
        "bytes=sum(bytes)",
        "--measure",
        "price=avg(price)",
        "--measure",
        "slowest=max(latency_ms)",
    ),
    *(
        "--measure",
        "last=last(price)",
        "--measure",
        "pages=uniques(page.path)",
        "--measure",
        "top=max(bytes)",
    ),
)


def test_a_grouped_run_that_is_killed_publishes_what_count_counts(
    new_run: RunFactory, tmp_path: Path
) -> None:
    """Byte for byte, with sums of decimals and what comes last: neither crashes nor shards show in them."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    run = new_run(2)
    asked = GenerateSettings(
        20_000, users=2_000, rate=50, size_bytes=250, disorder=0.05, corrupt=0.01, seed=seed, visits=True
    )
    made = list(itertools.chain.from_iterable(records(asked)))
    feeding = feed_slowly(run, made, 2)
    try:
        for aggregators in ("2", "1", "3"):
            run.kill_at_random(chance, *GROUPED, "--unmarshallers", "2", "--aggregators", aggregators)
    finally:
        feeding.join()
    run.until_end(*GROUPED, "--aggregators", "2", *QUICK_GROUP)
    files = [tmp_path / name for name in ("0.jsonl", "1.jsonl")]
    for partition, file in enumerate(files):
        file.write_bytes(lines(made[partition::2]))
    rules = ("--as-run", "--granularity", "10s", "--max-lag", "5s", "--max-jump", "15s", "--format", "jsonl")
    counted = streamagg("count", *map(str, files), "--inline", *rules, *GROUPED)
    assert counted.returncode == 0, counted.stderr
    published = run.published()
    check_published(published)
    assert len(published) > 500
    assert [value.decode() for value in published] == counted.stdout.splitlines()


def test_single_workers_are_killed(new_run: RunFactory) -> None:
    """An unmarshaller, then an aggregator: the run goes on by itself."""
    run = new_run(2)
    made = made_records(20_000)
    feeding = feed_slowly(run, made, 2)
    with run.start("--unmarshallers", "2", "--aggregators", "2", *QUICK_GROUP) as instance:
        try:
            instance.wait_for("leading:")
            wait_until(lambda: len(run.published()) > 2, "the first windows")
            for kind in ("unmarshaller", "aggregator"):
                published = len(run.published())
                victim = instance.workers(kind)[0]
                os.kill(victim, signal.SIGKILL)
                instance.wait_for(f"(process {victim}) died: signal 9; replaced")
                wait_until(lambda before=published: len(run.published()) > before, "further windows")
        finally:
            feeding.join()
        instance.signal(signal.SIGTERM)
        assert instance.wait(10) == 0
    run.until_end(*QUICK_GROUP)
    run.check()


def striking(point: str, time_: int) -> dict[str, str]:
    """A fault that strikes when its point is reached for that time."""
    for seed in itertools.count():
        draw = random.Random(str(seed)).random
        if all(draw() >= 0.5 for _ in range(time_ - 1)) and draw() < 0.5:
            return {"STREAMAGG_FAULT": f"{point}:0.5,seed:{seed}"}
    raise AssertionError


def test_a_gap_in_many_transactions_survives_a_death_between_any_two(new_run: RunFactory) -> None:
    """100,000 windows that nobody hit are ten transactions and more; each start dies at one of them."""
    run = new_run(2, window=replace(WINDOW, empty_windows=True))
    gap_s = 100_000 * WINDOW.granularity_ms // 1_000
    seconds = [*range(1_000, 1_100), *range(1_000 + gap_s, 1_100 + gap_s)]
    Feed(run.bootstrap, run.input, 2).send(map(record, seconds))
    flags = ("--empty-windows", "--idle-timeout", "2s", *QUICK_GROUP)
    for point, time_ in (("before-commit", 4), ("after-commit", 2), ("before-free", 2)):
        with run.start(*flags, env=striking(point, time_)) as instance:
            assert instance.wait(60) == -signal.SIGKILL, instance.log
    run.until_end(*flags)
    assert run.check() > 100_000


def test_a_worker_that_is_killed_in_a_bounded_run(new_run: RunFactory) -> None:
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(60_000))
    with run.start("--until-end", "--unmarshallers", "2", *QUICK_GROUP) as instance:
        instance.wait_for("leading:")
        for kind in ("unmarshaller", "aggregator"):
            for victim in instance.workers(kind)[:1]:
                os.kill(victim, signal.SIGKILL)
        assert instance.wait() == 0, instance.log
    run.check()


def test_workers_end_with_their_coordinator(new_run: RunFactory) -> None:
    """SIGKILL to the main process alone leaves no orphans behind."""
    run = new_run(1)
    with run.start("--unmarshallers", "2", "--aggregators", "2") as instance:
        instance.wait_for("leading:")
        workers = instance.workers()
        assert len(workers) == 4
        instance.signal(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, workers)), "the end of all workers", 10)
        instance.wait()


def test_a_worker_that_keeps_dying_ends_the_run(new_run: RunFactory) -> None:
    run = new_run(1)
    with run.start("--unmarshallers", "1", "--max-restarts", "1") as instance:
        instance.wait_for("leading:")
        for deaths in (1, 2):
            wait_until(lambda: len(instance.workers("unmarshaller")) == 1, "an unmarshaller")
            os.kill(instance.workers("unmarshaller")[0], signal.SIGKILL)
            if deaths == 1:
                instance.wait_for("replaced")
        assert instance.wait() == 5
        assert "--max-restarts" in instance.log
