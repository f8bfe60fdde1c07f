"""What the processes of a long run use, and how far behind it is, looked at again and again."""

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from bench.processes import sample
from tests.chaos.world import World
from tests.soak.lasting import broker_pid, workers_by_name

LAG: Final = "streamagg_partition_lag_records"
_URL: Final = re.compile(r"metrics at (http://\S+)")
_PAGE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment."""

    pid: int
    resident_bytes: int
    descriptors: int
    """Open files and sockets."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment."""

    minute: float
    """Since the start."""
    usage: dict[str, Usage]
    """By role: who is being replaced is missing."""
    lag_records: int | None
    """None when the metrics did not answer."""
    published: int
    """Windows that a reader has seen so far."""
    due: int
    """Windows that all partitions have passed, and no reader has seen."""


@dataclass(slots=True)
class Sampler:
    """Takes a sample at equal intervals, in a thread of its own; a context manager."""

    world: World
    every_s: float
    told: Callable[[Sample], None]
    samples: list[Sample] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)
    """Why it stopped taking samples: a run without them proves nothing."""
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Sampler":
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        number = 1
        try:
            while not self._ending.wait(max(0.0, began + number * self.every_s - time.monotonic())):
                taken = take(self.world, (time.monotonic() - began) / 60)
                self.samples.append(taken)
                self.told(taken)
                number += 1
        except Exception as error:
            self.failed.append(error)


def take(world: World, minute: float) -> Sample:
    """One sample of a world that runs."""
    seen = len(world.watch.seen)
    closed = {str(start // 1000).encode() for start in world.truth.closed()}
    return Sample(minute, _usage(world), _lag_records(world), seen, len(closed - world.watch.seen.keys()))


def _usage(world: World) -> dict[str, Usage]:
    pids = {"broker": broker_pid(world)}
    for instance in world.running[:1]:
        pids |= {"coordinator": instance.pid, **workers_by_name(instance)}
    found = {role: of_process(pid) for role, pid in sorted(pids.items()) if pid is not None}
    return {role: usage for role, usage in found.items() if usage is not None}


def of_process(pid: int) -> Usage | None:
    """None when it is gone."""
    seen = sample(pid)
    if seen is None or seen.ended:
        return None
    try:
        return Usage(pid, seen.resident_bytes, len(os.listdir(Path("/proc") / str(pid) / "fd")))
    except FileNotFoundError:
        return None


def _lag_records(world: World) -> int | None:
    """Of all partitions, as the metrics of the instance tell it."""
    for instance in world.running[:1]:
        if url := _URL.search(instance.log):
            return _lag_of_page(url[1])
    return None


def _lag_of_page(url: str) -> int | None:
    try:
        with urlopen(url, timeout=_PAGE_TIMEOUT_S) as answer:
            page = answer.read().decode()
    except (URLError, TimeoutError, ConnectionError):
        return None
    return lag_of(page)


def lag_of(page: str) -> int | None:
    """Lag in records of all partitions together; None when the page has none."""
    values = [
        each.value
        for family in text_string_to_metric_families(page)
        if family.name == LAG
        for each in family.samples
    ]
    return int(sum(values)) if values else None
