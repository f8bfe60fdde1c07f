"""Leases: every offset is read once, whoever dies, wherever the log has gaps, however it ends."""

import itertools
import random
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.engine.session.leases import LeaseBook, LeaseSize
from streamagg.model.batch import Standing
from streamagg.model.messages import ColumnBlock, Lease
from streamagg.sources.contract import Marks, Stretch

SIZE = LeaseSize(100, 10)
FULL = SIZE.most_waiting + 1
"""Rows of a partition for which there is no room."""


def block(lease: Lease, first: int, stop: int, *, end: int = 0, caught_up: bool = False) -> ColumnBlock:
    return ColumnBlock(
        lease.id, lease.partition, first, stop, end, caught_up, stop - first, {}, b"", (b"",), b"\0" * 4
    )


def book(workers: int, *, end: int = 1_000, stop: int | None = None, start: int = 0) -> LeaseBook:
    leases = LeaseBook(workers, itertools.count(), SIZE)
    leases.add_partition(0, start, end, stop, timestamps=True)
    return leases


def test_workers_read_one_partition_at_once() -> None:
    issued = book(2).issue([(0, 0)])
    assert [(worker, lease.start, lease.stop) for worker, lease in issued] == [(0, 0, 100), (1, 100, 200)]


def test_partitions_are_shared_out_before_one_is_split() -> None:
    leases = LeaseBook(2, itertools.count(), SIZE)
    for partition in range(4):
        leases.add_partition(partition, 0, 1_000, None, timestamps=False)
    issued = leases.issue([(partition, 0) for partition in range(4)])
    assert [(worker, lease.partition) for worker, lease in issued] == [(0, 0), (1, 1), (0, 2), (1, 3)]


def test_who_reads_a_partition_goes_on_with_it_before_its_lease_is_done() -> None:
    """::

    offsets   0        100       200       300
    worker 0  [======75%
    worker 1            [====50%   ]
                                  [=========] goes on where the last lease ends
    """
    leases = book(2)
    (_, first), (_, second) = leases.issue([(0, 0)])
    leases.received(block(first, 0, 70))
    leases.received(block(second, 100, 170))
    assert leases.issue([(0, 0)]) == []
    leases.received(block(second, 170, 175))
    assert leases.issue([(0, 0)]) == [(1, Lease(2, 0, 200, 300, timestamps=False))]


def test_the_next_lease_comes_before_a_small_one_is_nearly_done() -> None:
    """Who comes to the end of one before the next one is there begins a new fetch, which may take long.

    ::

    offsets     0    5    10   15        25   30
    lease 1     [====x         ]
    lease 2       10 before 1 ends: [========]     10 is the fewest
    """
    leases = book(1, stop=30)
    ((_, first),) = leases.issue([(0, 0)])
    assert first == Lease(0, 0, 0, 15, timestamps=True)
    leases.received(block(first, 0, 4))
    assert leases.issue([(0, 0)]) == []
    leases.received(block(first, 4, 5))
    assert leases.issue([(0, 0)]) == [(0, Lease(1, 0, 15, 25, timestamps=False))]


def test_a_worker_that_runs_dry_helps_where_there_is_most_need() -> None:
    leases = book(2, end=150)
    leases.add_partition(1, 0, 1_000, None, timestamps=False)
    order = [(0, 0), (1, 0)]
    (_, lease), *_ = leases.issue(order)
    leases.received(block(lease, 0, 100, end=150))
    ((worker, rest),) = leases.issue([(0, 0), (1, 500_000)])
    assert (worker, rest.partition, rest.start) == (0, 0, 100)
    leases.received(block(rest, 100, 150, end=150))
    assert (0, 1, 100) in [(w, helped.partition, helped.start) for w, helped in leases.issue(order)]


def test_timestamps_are_asked_for_first_and_at_the_tail() -> None:
    leases = book(1, end=150)
    ((_, first),) = leases.issue([(0, 0)])
    leases.received(block(first, 0, 100, end=150))
    ((_, second),) = leases.issue([(0, 0)])
    leases.received(block(second, 100, 190, end=190))
    ((_, tail),) = leases.issue([(0, 0)])
    assert [lease.timestamps for lease in (first, second, tail)] == [True, False, True]
    assert tail.start == 200


def test_the_tail_has_one_lease() -> None:
    leases = book(4, end=0)
    assert [(lease.start, lease.stop) for _, lease in leases.issue([(0, 0)])] == [(0, 100)]
    assert leases.issue([(0, 0)]) == []


def test_who_reads_before_goes_on() -> None:
    leases = book(3, end=0)
    ((worker, lease),) = leases.issue([(0, 0)])
    leases.received(block(lease, 0, 90, end=90))
    assert leases.issue([(0, 0)]) == [(worker, Lease(1, 0, 100, 200, timestamps=True))]


def test_a_partition_that_waits_in_memory_gets_nothing() -> None:
    assert book(1).issue([(0, 200_001)]) == []


def test_what_a_lost_worker_had_not_delivered_is_issued_again() -> None:
    leases = book(2)
    (_, first), (_, second) = leases.issue([(0, 0)])
    leases.received(block(first, 0, 30))
    leases.received(block(second, 100, 130))
    leases.worker_lost(0)
    again = [(worker, lease.start, lease.stop) for worker, lease in leases.issue([(0, 0)])]
    assert again == [(0, 30, 100)]


def test_a_gap_is_read_however_much_waits_behind_it() -> None:
    """::

    offsets   0        100       200
    worker 0  [ lost    ]
    worker 1            [=========] waits in memory, all of it, and fills it
    """
    leases = book(2)
    (_, first), (_, second) = leases.issue([(0, 0)])
    leases.received(block(second, 100, 200))
    leases.worker_lost(0)
    assert leases.issue([(0, FULL)]) == [(0, Lease(2, 0, first.start, first.stop, timestamps=False))]
    assert leases.issue([(0, FULL)]) == [], "and nothing beyond it"


def test_leases_of_a_lost_worker_beyond_the_end_are_issued_as_one() -> None:
    """Offset 100 cannot be fetched while the log ends at 80."""
    leases = book(1, end=0)
    ((_, first),) = leases.issue([(0, 0)])
    leases.received(block(first, 0, 80, end=80))
    assert [lease.start for _, lease in leases.issue([(0, 0)])] == [100]
    leases.worker_lost(0)
    assert [(lease.start, lease.stop) for _, lease in leases.issue([(0, 0)])] == [(80, 200)]


def test_what_is_recalled_and_what_is_read_are_never_in_one_lease() -> None:
    """What is recalled has been counted.

    ::

        offsets   12      20             120
        worker 0  [=======][=============]     dies: both again, one by one
    """
    leases = LeaseBook(1, itertools.count(), SIZE)
    leases.add_partition(0, 20, 1_000, None, timestamps=True, recall_from=12)
    for _ in range(2):
        issued = [lease for _ in range(2) for _, lease in leases.issue([(0, 0)])]
        assert [(lease.start, lease.stop) for lease in issued] == [(12, 20), (20, 120)]
        leases.worker_lost(0)


def test_a_gap_does_not_go_to_a_worker_that_waits_behind_it() -> None:
    """::

    offsets   0        100       200     250 end
    worker 0  [========]         [=======]...     waits for the log to grow
    worker 1            [===x                     dies
    """
    leases = book(2, end=250)
    (_, first), (_, second) = leases.issue([(0, 0)])
    leases.received(block(first, 0, 100, end=250))
    ((worker, third),) = leases.issue([(0, 0)])
    assert (worker, third.start) == (0, 200)
    leases.received(block(third, 200, 250, end=250))
    leases.received(block(second, 100, 130, end=250))
    leases.worker_lost(1)
    assert [(worker, lease.start) for worker, lease in leases.issue([(0, 0)])] == [(1, 130)]


def test_a_lease_beyond_the_end_goes_to_who_reads_up_to_it() -> None:
    leases = LeaseBook(2, itertools.count(), SIZE)
    for partition in range(4):
        leases.add_partition(partition, 0, 0, None, timestamps=False)
    order = [(partition, 0) for partition in range(4)]
    readers = {lease.partition: worker for worker, lease in leases.issue(order)}
    for held in range(4):
        leases.received(ColumnBlock(held, held, 0, 80, 80, True, 80, {}, b"", (b"",), b""))
    further = leases.issue(order[::-1])
    assert sorted((lease.partition, lease.start) for _, lease in further) == [(p, 100) for p in range(4)]
    assert all(worker == readers[lease.partition] for worker, lease in further)


def test_blocks_nobody_waits_for_are_refused() -> None:
    leases = book(1)
    lease = leases.issue([(0, 0)])[0][1]
    assert leases.received(block(lease, 0, 50))
    assert not leases.received(block(lease, 0, 50)), "delivered before"
    assert not leases.received(block(lease, 60, 70)), "behind a hole"
    leases.reread(0, 20)
    assert not leases.received(block(lease, 50, 60)), "of a lease that was given up"
    assert leases.issue([(0, 0)]) == [(0, Lease(1, 0, 20, 120, timestamps=True))]


@pytest.mark.parametrize("end", [0, 40, 100, 140])
def test_a_file_may_end_early(end: int) -> None:
    leases = LeaseBook(1, itertools.count(), replace(SIZE, ends_early=True))
    leases.add_partition(0, 0, 1_000, 1_000, timestamps=False)
    while issued := leases.issue([(0, 0)]):
        for _, lease in issued:
            stop = min(lease.stop, end)
            leases.received(block(lease, lease.start, stop, end=end, caught_up=stop == end))
    assert leases.finished(0)
    assert not leases.outstanding
    assert leases.issue([(0, 0)]) == []


class Places:
    """What a source says of a log in which a lease may end at multiples of seven alone."""

    def __init__(self, end: int) -> None:
        self.known = end

    def end(self, partition: int) -> int:
        return self.known

    def stretch(self, partition: int, start: int, most: int, limit: int) -> Stretch:
        stop = min(start + most, limit, self.known)
        return Stretch(stop if stop == self.known else max(stop - stop % 7, start + 1), b"%d" % start)


def placed(end: int, stop: int | None) -> tuple[LeaseBook, Places]:
    places = Places(end)
    leases = LeaseBook(2, itertools.count(), SIZE, marks=cast(Marks, places))
    leases.add_partition(0, 0, end, stop, timestamps=False)
    return leases, places


def test_the_source_says_where_a_lease_ends_and_what_its_offsets_stand_for() -> None:
    leases, places = placed(150, None)
    (_, first), (_, second) = leases.issue([(0, 0)])
    assert [(lease.start, lease.stop, lease.where) for lease in (first, second)] == [
        (0, 98, b"0"),
        (98, 150, b"98"),
    ]
    for lease in (first, second):
        assert leases.received(block(lease, lease.start, lease.stop))
    assert leases.issue([(0, 0)]) == [], "nothing is there"
    places.known = 160
    assert [(lease.start, lease.stop) for _, lease in leases.issue([(0, 0)])] == [(150, 160)]


def test_an_end_is_told_by_a_lease_without_offsets() -> None:
    leases, _ = placed(0, None)
    ((_, lease),) = leases.issue([(0, 0)])
    assert (lease.start, lease.stop) == (0, 0)
    assert leases.issue([(0, 0)]) == []
    leases.received(block(lease, 0, 0, caught_up=True))
    assert leases.issue([(0, 0)]) == []


def test_a_bounded_run_waits_for_what_the_source_has_not_got_yet() -> None:
    leases, places = placed(10, 20)
    ((_, lease),) = leases.issue([(0, 0)])
    leases.received(block(lease, 0, 10, caught_up=True))
    assert leases.issue([(0, 0)]) == []
    assert leases.outstanding
    assert leases.standing(0, 10) == Standing(10, 20)
    places.known = 30
    while issued := leases.issue([(0, 0)]):
        for _, lease in issued:
            assert lease.stop <= 20
            leases.received(block(lease, lease.start, lease.stop))
    assert leases.finished(0)
    assert not leases.outstanding


def test_what_a_dead_worker_left_is_found_again() -> None:
    leases, _ = placed(150, None)
    (worker, first), (_, second) = leases.issue([(0, 0)])
    leases.received(block(first, 0, 30))
    leases.received(block(second, 98, 150))
    leases.worker_lost(worker)
    issued = leases.issue([(0, 0)])
    assert [(lease.start, lease.stop, lease.where) for _, lease in issued] == [(30, 98, b"30")]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_topic_does_not_end_where_its_reader_finds_no_more(workers: int) -> None:
    """Behind an open transaction.

    ::

    offsets   0           140            400
    lease 1   [======100]
    lease 2              [==|             ]  140: the end of the log, says the broker, for now
    """
    leases = book(workers, end=140, stop=400)
    held = [lease for _, lease in leases.issue([(0, 0)])]
    for lease in held:
        stop = min(lease.stop, max(140, lease.start))
        leases.received(block(lease, lease.start, stop, end=400, caught_up=stop < lease.stop))
        held += [more for _, more in leases.issue([(0, 0)])]
        if stop == 140:
            break
    assert not leases.finished(0)
    assert leases.outstanding
    assert leases.standing(0, 140) == Standing(140, 400)


@dataclass
class Log:
    """A partition that grows, read by workers that die."""

    chance: random.Random
    leases: LeaseBook
    workers: int
    end: int
    stop: int | None
    held: dict[int, list[tuple[Lease, int]]] = field(default_factory=dict)
    delivered: list[tuple[int, int]] = field(default_factory=list)

    def step(self) -> None:
        for worker, lease in self.leases.issue([(0, 0)]):
            self.held.setdefault(worker, []).append((lease, lease.start))
        worker = self.chance.randrange(self.workers)
        match self.chance.random():
            case luck if luck < 0.1:
                self.held.pop(worker, None)
                self.leases.worker_lost(worker)
            case luck if luck < 0.2 and self.stop is None:
                self.end += self.chance.randrange(200)
            case _ if self.held.get(worker):
                self.read(worker)

    def read(self, worker: int) -> None:
        lease, at = self.held[worker][0]
        stop = min(lease.stop, self.end, at + self.chance.randrange(1, 60))
        if stop < at:
            return
        caught_up = stop == self.end
        assert self.leases.received(block(lease, at, stop, end=self.end, caught_up=caught_up))
        if stop > at:
            self.delivered.append((at, stop))
        over = stop == lease.stop or (caught_up and self.stop is not None)
        self.held[worker][:1] = [] if over else [(lease, stop)]


@settings(max_examples=400)
@given(
    seed=st.integers(0, 1 << 32),
    workers=st.integers(1, 4),
    end=st.integers(0, 2_000),
    bounded=st.booleans(),
)
def test_no_offset_is_read_twice_or_never(seed: int, workers: int, end: int, bounded: bool) -> None:
    """::

    offsets   0 ......................... end
    worker 0  [======]x      [=====]           x dies
    worker 1          [======]  ...
    again            [=]
    """
    leases = book(workers, end=end, stop=end if bounded else None)
    log = Log(random.Random(seed), leases, workers, end, end if bounded else None)
    for _ in range(400):
        log.step()
    log.chance = random.Random(seed + 1)
    for _ in range(5_000):
        if sum(stop - first for first, stop in log.delivered) == log.end and not (
            bounded and not leases.finished(0)
        ):
            break
        for worker in range(workers):
            for new_worker, lease in leases.issue([(0, 0)]):
                log.held.setdefault(new_worker, []).append((lease, lease.start))
            if log.held.get(worker):
                log.read(worker)
    read = sorted(log.delivered)
    assert [first for first, _ in read] == [0, *(stop for _, stop in read)][: len(read)]
    assert (read[-1][1] if read else 0) == log.end
    if bounded:
        assert leases.finished(0)
        assert not leases.outstanding


def test_a_bounded_partition_can_be_made_to_end_where_it_is() -> None:
    leases = book(1, stop=1_000)
    ((_, lease),) = leases.issue([(0, 0)])
    assert leases.received(block(lease, 0, 40))
    leases.end_here()
    assert leases.finished(0)
    assert not leases.outstanding
    assert not leases.received(block(lease, 40, 100))
    assert leases.issue([(0, 0)]) == []
