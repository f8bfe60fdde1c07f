"""Does a recount agree with what a job on Flink publishes of a million visits, by group and period?"""

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

from bench.flink.job import JOB_S, finished, started, until
from bench.scaling import Point, fill
from bench.scratch import PREFIX, Site
from bench.topics import Told
from streamagg.kafka.admin import ensure_topic
from streamagg.model.settings import (
    CalendarSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    WindowSettings,
)
from streamagg.tools.comparison import VerifySettings, compare
from streamagg.tools.generate import GenerateSettings
from streamagg.tools.published import Place, Published
from streamagg.tools.recount import Recount
from streamagg.tools.verify import read_published, recount_topic
from tests.support.pipeline import Run

PARTITIONS: Final = 4
HOURS: Final = 3
MADE: Final = GenerateSettings(
    1_000_000,
    users=50_000,
    rate=1_000_000 / (HOURS * 3_600),
    first_time_s=1_468_245_600,
    size_bytes=400,
    disorder=0.1,
    max_delay_s=5,
    corrupt=0.001,
    visits=True,
)
"""So many whole hours, so that every period ends; out of order by no more than max lag."""
LATER: Final = replace(MADE, max_delay_s=120)
WINDOW: Final = WindowSettings(
    calendars=(CalendarSettings("15m", 900_000), CalendarSettings("hour", 3_600_000))
)
DECODE: Final = DecodeSettings(
    group_by=("country", "page.section"),
    measures=(
        MeasureSettings("bytes", "sum", "bytes"),
        MeasureSettings("latency", "avg", "latency_ms"),
        MeasureSettings("slowest", "max", "latency_ms"),
        MeasureSettings("price", "last", "price"),
        MeasureSettings("pages", "uniques", "page.path"),
    ),
)
OFTEN: Final = ("--checkpoint-interval", "1s")
"""So that a job which is killed has checkpoints."""
KILLS: Final = 2


@dataclass(frozen=True, slots=True)
class Input:
    """A topic that is full, and what is in it."""

    run: Run
    recount: Recount

    def fresh(self) -> Run:
        """A run of it into a topic of its own."""
        run = self.run.on(f"{self.run.input}-{uuid4().hex[:6]}")
        ensure_topic(KafkaSettings(run.bootstrap), run.output, config={})
        return run

    @property
    def whole(self) -> int:
        """How many windows and periods there are."""
        return len(self.recount.windows) + len(self.recount.periods)

    def judged(self, run: Run) -> dict[str, int]:
        """How many windows, periods and groups were published, and how many are as recounted."""
        settings = self._settings(run)
        outputs = read_published(settings)
        found = compare(settings, self.recount, outputs, 0.0)
        published = kinds([output.place for output in outputs if isinstance(output, Published)])
        return {**published, "agree": found.matching, "differ": len(found.differences)}

    def _settings(self, run: Run) -> VerifySettings:
        return VerifySettings(run.input, run.output, run.window, run.decode, KafkaSettings(run.bootstrap))


Case = Callable[[Input, Path], dict[str, Any]]
"""What is tried, with a directory of its own: a row of the results."""


def kinds(places: Sequence[Place]) -> dict[str, int]:
    """How many are of a whole window, of a whole period, of a group."""
    whole = [place for place in places if place.group is None]
    windows = sum(place.calendar is None for place in whole)
    return {
        "windows": windows,
        "periods": len(whole) - windows,
        "groups": len(places) - len(whole),
    }


@contextmanager
def filled(place: Site, made: GenerateSettings, directory: Path) -> Iterator[Input]:
    """A topic of such records, recounted; outputs that are named after it are deleted with it."""
    with place.topics(PARTITIONS) as (topic,):
        fill(place.bootstrap, topic, Point(0, made))
        run = Run(place.bootstrap, topic, topic, directory, WINDOW, DECODE)
        settings = VerifySettings(topic, topic, WINDOW, DECODE, place.kafka)
        yield Input(run, recount_topic(settings, lambda *_: None))


def as_it_is(parallelism: int) -> Case:
    """Read to the end, without any trouble."""

    def case(given: Input, directory: Path) -> dict[str, Any]:
        run, began = given.fresh(), time.monotonic()
        told = finished(run, "--parallelism", str(parallelism))
        seconds = time.monotonic() - began
        return {
            **_row(f"parallelism {parallelism}", seconds, given.judged(run)),
            "late": told["records_late_total"],
            "late_in_recount": given.recount.late,
        }

    return case


def later_than_max_lag(given: Input, directory: Path) -> dict[str, Any]:
    """Records that are late: the recount, and a run beside it."""
    row = as_it_is(2)(given, directory)
    stats = given.fresh().until_end()
    return {**row, "what": "later than max lag, parallelism 2", "late_in_run": stats["late"]}


def killed(given: Input, directory: Path) -> dict[str, Any]:
    """Killed and restored twice in the middle of the topic, each time after it has published more."""
    run, began, behind = given.fresh(), time.monotonic(), [0]
    flags = (*OFTEN, "--idle-timeout", "10m", "--checkpoints", str(directory))
    savepoint: tuple[str, ...] = ()
    for _ in range(KILLS):
        with started(run, *flags, *savepoint) as process:
            until(lambda before=behind[-1]: _whole(run) > before, process, run)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.wait(JOB_S)
        behind.append(_whole(run))
        savepoint = ("--savepoint", str(directory))
    found = _rest(given, run, *flags, *savepoint)
    return {**_row("killed and restored twice", time.monotonic() - began, found), "behind": behind[1:]}


def rescaled(given: Input, directory: Path) -> dict[str, Any]:
    """Stopped with a savepoint in the middle of the topic; goes on with more subtasks."""
    run, began = given.fresh(), time.monotonic()
    flags = (*OFTEN, "--idle-timeout", "10m", "--checkpoints", str(directory))
    with started(run, *flags, "--parallelism", "2") as process:
        until(lambda: _whole(run) > 0, process, run)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=JOB_S)
    behind = _whole(run)
    found = _rest(given, run, *flags, "--savepoint", json.loads(told)["savepoint"], "--parallelism", "4")
    row = _row("parallelism 2, then 4 from a savepoint", time.monotonic() - began, found)
    return {**row, "behind": [behind]}


def _whole(run: Run) -> int:
    """How many windows and periods can be read; behind a transaction that is open there may be more."""
    return sum("group" not in json.loads(value) for value in run.published())


def _rest(given: Input, run: Run, *flags: str) -> dict[str, int]:
    """Go on until silence has closed all windows; a job that is restored has no end."""
    with started(run, *flags, "--idle-timeout", "2s") as process:
        until(lambda: _whole(run) >= given.whole, process, run)
    return given.judged(run)


def _row(what: str, seconds: float, found: dict[str, int]) -> dict[str, Any]:
    return {"what": what, "seconds": round(seconds, 1), **found}


def _fewer(made: GenerateSettings) -> GenerateSettings:
    """Records of the same stretch of event time."""
    return replace(made, count=made.count // 20, rate=made.rate / 20)


def measure(
    place: Site, quick: bool, told: Told, made: GenerateSettings, cases: Sequence[Case]
) -> dict[str, Any]:
    """Some cases, all on one topic."""
    made = _fewer(made) if quick else made
    rows = []
    with TemporaryDirectory(prefix=PREFIX) as directory, filled(place, made, Path(directory)) as given:
        for number, case in enumerate(cases):
            rows.append(case(given, Path(directory) / str(number)))
            told(str(rows[-1]))
    return {"records": made.count, "partitions": PARTITIONS, "record_bytes": made.size_bytes, "rows": rows}


def plain(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """With one, two and four subtasks."""
    return measure(place, quick, told, MADE, [as_it_is(parallelism) for parallelism in (1, 2, 4)])


def restored(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """Ended in the middle of the topic, in both ways."""
    return measure(place, quick, told, MADE, [killed, rescaled])


def later(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """Records beyond max lag."""
    return measure(place, quick, told, LATER, [later_than_max_lag])
