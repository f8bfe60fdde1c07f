"""An output directory, broken off between any two things that are done to its files.

``die`` ends the process, ``power`` the machine with all that was not synced, and ``stop`` stops the process:
its successor works, and at some moment it wakes up and goes on. Afterwards what the manifest names is each
window once, in order, with the state and the checkpoint of the last one.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Literal

import orjson
import pytest

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import DecodeSettings, RunSettings
from streamagg.sinks.contract import Publication, PublishFailed, State
from streamagg.sinks.directory import manifest, merging, output, state
from streamagg.sinks.directory.epoch_files import EpochFiles
from streamagg.sinks.directory.manifest import Columns
from streamagg.sinks.directory.output import Output, stored
from streamagg.sinks.directory.parquet import Rows
from tests.support.blocks import window_table
from tests.support.simulated_files import Dies, Process, World

How = Literal["die", "power", "stop"]
LAST = 7
"""How many windows there are, each published by itself."""
A_DAY = 3
"""So many of them."""
FIRST = 24_474_240
SETTINGS = RunSettings("in", "dir:/there", decode=DecodeSettings())
PATIENCE_S = 30


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that happens seldom happens in a few publications."""
    monkeypatch.setattr(merging, "_OF_A_KIND", 2)
    monkeypatch.setattr(state, "_SPARE_BYTES", 10)
    monkeypatch.setattr(output, "_REMOVED_AFTER_S", 0.0)
    # What is in a file makes no difference here, and Parquet takes nine tenths of the time.
    monkeypatch.setattr(Rows, "parquet", lambda self: orjson.dumps(self._rows["cnt"]))
    monkeypatch.setattr(output, "merged", merged)


def merged(files: Iterable[bytes], columns: Columns) -> bytes:
    return orjson.dumps([row for file in files for row in orjson.loads(file)])


def changes(number: int) -> State:
    """Of the state, by a publication."""
    return (
        (b"key %d" % (number % 3), b"of %d" % number),
        (b"%d" % (number - 2), None),
        (b"%d" % number, b""),
    )


def state_after(number: int) -> list[tuple[bytes, bytes]]:
    values: dict[bytes, bytes] = {}
    for one in range(1, number + 1):
        state.take(values, changes(one))
    return list(values.items())


def publication(number: int) -> Publication:
    window = FIRST + number // A_DAY * 1440 + number % A_DAY
    places = {0: Checkpoint(PartitionState(number), window, number)}
    return Publication((window_table(window, number, number),), places, state=changes(number))


def leader(disk: Process, told: list[int], waiting: Callable[[], bool] = lambda: True) -> None:
    """A run: begins at the checkpoint, and publishes all that is behind it."""
    into = Output(SETTINGS, "there", disk, "print", lambda: None, lambda point: None, PublisherNumbers())
    into.open(waiting)
    (done, _) = into.checkpoints([0]).get(0, (0, ""))
    assert list(into.state(lambda: None)) == state_after(done)
    for number in range(done + 1, LAST + 1):
        into.publish(publication(number), 0.0)
        told.append(number)


def check(world: World) -> int:
    """What a reader finds is whole; returns how many windows it is."""
    disk = Process(world, lambda operation: None)
    found = stored(disk, "there")
    if found is None:
        return 0
    (done, _) = found.checkpoints.get(0, (0, ""))
    lines: list[int] = []
    rows: list[int] = []
    for day in found.days.values():
        for file in day.jsonl:
            lines += [orjson.loads(line)["cnt"] for line in disk.read(file.path)[: file.bytes].splitlines()]
        for file in day.parquet:
            rows += orjson.loads(disk.read(file.path))
    assert lines == rows == list(range(1, done + 1))
    assert list(state.in_force(found.state, disk.read).items()) == state_after(done)
    return done


@dataclass
class Stopped:
    """A run in a thread, which one can stop before an operation, and wake up."""

    world: World
    at: int
    told: list[int] = field(default_factory=list)
    failed: BaseException | None = None

    def __post_init__(self) -> None:
        self._count = 0
        self._there, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        assert self._there.wait(PATIENCE_S)

    def wake(self) -> None:
        """Let it go on to its end, while nobody else does anything."""
        if not self._wake.is_set():
            self._wake.set()
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()

    def _work(self) -> None:
        try:
            leader(Process(self.world, self._step), self.told)
        except BaseException as error:
            self.failed = error
        self._there.set()

    def _step(self, operation: str) -> None:
        self._count += 1
        if self._count == self.at:
            self._there.set()
            assert self._wake.wait(PATIENCE_S)


def operations() -> int:
    """How many a whole run has."""
    counted: list[str] = []
    world = World()
    leader(Process(world, counted.append), [])
    assert check(world) == LAST
    return len(counted)


def broken(at: int, how: How, seed: int) -> None:
    """A run that breaks off before this operation, and the one that comes after it."""
    chance = random.Random(seed)
    if how == "stop":
        stopped(at, chance)
        return
    world, told = World(), list[int]()
    with suppress(Dies):
        leader(Process(world, dying(at)), told)
    if how == "power":
        world.lose_power(chance)
    assert check(world) >= len(told), "what was told as published is gone"
    leader(Process(world, lambda operation: None), told)
    assert check(world) == LAST
    if how == "power":
        world.lose_power(chance)
        assert check(world) == LAST


def dying(at: int) -> Callable[[str], None]:
    left = iter(range(at - 1))

    def step(operation: str) -> None:
        if next(left, None) is None:
            raise Dies

    return step


def stopped(at: int, chance: random.Random) -> None:
    world = World()
    before = Stopped(world, at)
    left = iter(range(chance.randint(0, 80)))

    def step(operation: str) -> None:
        # While this one has the lock the other one can only wait for it.
        if next(left, None) is None and world.holder is None:
            before.wake()

    def waiting() -> bool:
        before.wake()
        return True

    # It may be the other one that begins later, if it is stopped early and wakes up soon.
    with suppress(PublishFailed):
        leader(Process(world, step), [], waiting)
    before.wake()
    assert before.failed is None or isinstance(before.failed, PublishFailed), before.failed
    check(world)
    leader(Process(world, lambda operation: None), [])
    assert check(world) == LAST


SEEDS: dict[How, int] = {"die": 1, "power": 2, "stop": 1}


def every_cut() -> Iterator[tuple[int, How, int]]:
    for at in range(1, operations() + 1):
        for how, seeds in SEEDS.items():
            for seed in range(seeds):
                yield at, how, at * 100 + seed


def test_wherever_it_breaks_off_each_window_is_there_once() -> None:
    for at, how, seed in every_cut():
        try:
            broken(at, how, seed)
        except BaseException as error:
            error.add_note(f"broken(at={at}, how={how!r}, seed={seed})")
            raise


def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are not made to last before the manifest names them."""
    monkeypatch.setattr(EpochFiles, "sync", lambda self: None)


def names_unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor their names."""
    sync = Process.sync_folder
    monkeypatch.setattr(Process, "sync_folder", lambda self, path: None if path else sync(self, path))


def manifest_unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is given its name before it lasts."""
    sync = Process.sync
    monkeypatch.setattr(Process, "sync", lambda self, path: None if "manifest" in path else sync(self, path))


def name_of_manifest_unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as published before the new manifest is sure to be found."""
    sync = Process.sync_folder
    monkeypatch.setattr(Process, "sync_folder", lambda self, path: sync(self, path) if path else None)


def no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether another instance has begun."""
    monkeypatch.setattr(Output, "_require_epoch", lambda self: None)


def unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may begin between the look at the epoch and the new name."""
    monkeypatch.setattr(Process, "locked", lambda self, waiting: nullcontext(True))


def names_without_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """All leaders write to files of the same names."""
    made = EpochFiles.__init__
    monkeypatch.setattr(EpochFiles, "__init__", lambda self, files, epoch: made(self, files, 1))


def others_are_cleared_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of whoever began later, too."""
    monkeypatch.setattr(manifest, "epoch_of", lambda path: -1)


def commit_before_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest names files that are written then."""
    read, write, replace = Process.read, Process.write, Process.replace
    waiting: list[tuple[Process, str, int, bytes]] = []

    def later(self: Process, path: str, offset: int, content: bytes) -> None:
        if "manifest" in path:
            write(self, path, offset, content)
        else:
            waiting.append((self, path, offset, content))

    def at_last() -> None:
        while waiting:
            write(*waiting.pop(0))

    def first(self: Process, path: str, target: str) -> None:
        replace(self, path, target)
        at_last()

    def looked_at(self: Process, path: str) -> bytes:
        # Files are merged.
        if "manifest" not in path:
            at_last()
        return read(self, path)

    monkeypatch.setattr(Process, "read", looked_at)
    monkeypatch.setattr(Process, "write", later)
    monkeypatch.setattr(EpochFiles, "sync", lambda self: None)
    monkeypatch.setattr(Process, "replace", first)


MUTANTS = (
    unsynced,
    names_unsynced,
    manifest_unsynced,
    name_of_manifest_unsynced,
    no_epoch,
    unlocked,
    names_without_epoch,
    others_are_cleared_away,
    commit_before_data,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_defect_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = sorted(every_cut(), key=lambda cut: cut[2] % 100)
    mutant(monkeypatch)
    assert operations(), "it does what it should as long as nothing breaks"
    for at, how, seed in cuts:
        try:
            broken(at, how, seed)
        except BaseException:
            return
    pytest.fail("the defect was not found")
