"""Runs contenders in turn, round by round, on a topic that is loaded."""

import shutil
import subprocess
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job, NotAvailable
from bench.kafka import create_topic, delete_topics
from bench.machine import load
from bench.measure import Run, run_contender
from bench.results import FLOOR, Row
from bench.topics import Loaded

OUTPUT_PREFIX: Final = "bench-"
QUIET_TRIES: Final = 10
"""How often to look for a quiet machine before a run is repeated."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A contender that can run here, or the reason why not."""

    contender: Contender
    versions: dict[str, str]
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """Where contenders run."""

    bootstrap: str
    broker_pid: int | None
    directory: Path
    busy_anyway: bool
    told: Callable[[str], None]

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    def prepare(self, contenders: Sequence[Contender]) -> list[Prepared]:
        """Build and install whatever is not there."""
        self.cache.mkdir(parents=True, exist_ok=True)
        return [self._prepare(contender) for contender in contenders]

    def run_rounds(self, prepared: Sequence[Prepared], full: Loaded, tenth: Loaded, rounds: int) -> list[Row]:
        """A row for each contender; in each round every one runs once, every other round backwards."""
        topics = [tenth if each.contender.slow else full for each in prepared]
        rows = [_row(each, on) for each, on in zip(prepared, topics, strict=True)]
        turns = [
            (each.contender, on, row)
            for each, on, row in zip(prepared, topics, rows, strict=True)
            if each.unavailable is None
        ]
        self._warm(turns)
        for number in range(1, rounds + 1):
            for contender, on, row in turns if number % 2 else reversed(turns):
                run = self._undisturbed(contender, on)
                row.runs.append(run)
                self.told(f"round {number} of {rounds}: {row.title}: {outcome(run, on.topic.records)}")
        return rows

    def _prepare(self, contender: Contender) -> Prepared:
        self.told(f"preparing {contender.title}")
        try:
            return Prepared(contender, contender.prepare(self.cache))
        except NotAvailable as reason:
            return Prepared(contender, {}, str(reason))
        except (OSError, subprocess.SubprocessError) as error:
            # A defect of one contender's preparation must not end the others' runs.
            return Prepared(contender, {}, f"its preparation failed: {error}")

    def _warm(self, turns: Sequence[tuple[Contender, Loaded, Row]]) -> None:
        """Read the topic once before the first round: it may have left the memory of the machine."""
        for contender, on, _ in turns:
            if contender.name == FLOOR:
                self._run(contender, on)

    def _undisturbed(self, contender: Contender, on: Loaded) -> Run:
        """Run once more if something else used the machine meanwhile."""
        run = self._run(contender, on)
        if not run.cost.is_disturbed or self.busy_anyway:
            return run
        self.told(f"something else used {run.cost.others_cpu_seconds:.1f} s of CPU meanwhile: once more")
        self._wait_until_quiet()
        return self._run(contender, on)

    def _wait_until_quiet(self) -> None:
        for _ in range(QUIET_TRIES):
            if not load().is_busy:
                return

    def _run(self, contender: Contender, on: Loaded) -> Run:
        """One run in a fresh output topic and an empty directory, both removed afterwards."""
        output = f"{OUTPUT_PREFIX}{contender.name}-{uuid.uuid4().hex[:8]}"
        directory = self.directory / "runs" / output
        job = Job(self.bootstrap, on.topic, output, directory / "result.json", directory / "scratch")
        job.scratch.mkdir(parents=True)
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        try:
            create_topic(self.bootstrap, output)
            return run_contender(
                contender,
                job,
                self.cache,
                on.truths[contender.work],
                log=logs / f"{contender.name}-{on.topic.name}.log",
                broker_pid=self.broker_pid,
            )
        finally:
            delete_topics(self.bootstrap, output)
            shutil.rmtree(directory, ignore_errors=True)


def outcome(run: Run, records: int) -> str:
    """A run in a few words."""
    if run.seconds is None:
        return run.error or "failed"
    speed = f"{records / run.seconds:,.0f} records/s"
    return speed if run.verdict is None else f"{speed}, {run.verdict}"


def _row(prepared: Prepared, on: Loaded) -> Row:
    contender = prepared.contender
    return Row(
        name=contender.name,
        title=contender.title,
        remark=contender.remark,
        records=on.topic.records,
        versions=prepared.versions,
        unavailable=prepared.unavailable,
    )
