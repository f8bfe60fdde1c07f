"""What all workers do, wherever they run: see ``streamagg.engine.workers.contract``."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np
import pytest

from streamagg.core.closed_window import ClosedWindow
from streamagg.core.window_tables import WindowTables
from streamagg.decode import Decoder
from streamagg.engine.session.shard_router import ShardRouter
from streamagg.engine.workers.contract import Event, ShardAnswer, UnmarshallerReplaced, Workers
from streamagg.engine.workers.inline import InlineWorkers
from streamagg.engine.workers.supervisor import ProcessWorkers
from streamagg.engine.workers.unmarshaller import open_unmarshaller
from streamagg.errors import StreamaggError
from streamagg.model.columns import delivered_schema_of
from streamagg.model.messages import (
    AggregatorSetup,
    CloseWindow,
    ColumnBlock,
    FreeWindow,
    Lease,
    Reset,
    Revoke,
    ShardCount,
    Trying,
    UnmarshallerSetup,
    WindowRows,
)
from streamagg.model.settings import NO_CEILING, DecodeSettings, MeasureSettings, SourceSettings

pytestmark = pytest.mark.slow

READERS: Final = 2
SHARDS: Final = 2
RECORDS: Final = 1_000
BEYOND: Final = 1 << 40
PATIENCE_S: Final = 60

Open = Callable[[UnmarshallerSetup, AggregatorSetup], Workers]


def in_this_process(setup: UnmarshallerSetup, aggregator: AggregatorSetup) -> Workers:
    readers = [open_unmarshaller(setup, Decoder(setup.decode)) for _ in range(READERS)]
    return InlineWorkers(readers, [aggregator] * SHARDS)


def as_processes(setup: UnmarshallerSetup, aggregator: AggregatorSetup) -> Workers:
    return ProcessWorkers([setup] * READERS, [aggregator] * SHARDS, max_restarts=1)


def unique(count: ShardCount) -> object:
    """The first measure's summary begins with them; it may be a list that was a tuple before it was sent."""
    summary = count.summaries[0]
    assert isinstance(summary, list | tuple)
    return summary[0]


@dataclass
class Bench:
    """Workers, and what comes of them."""

    workers: Workers
    size: int
    """Bytes of the file."""
    heard: list[Event] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=itertools.count)
    epochs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def lease(self, worker: int = 0, stop: int = BEYOND, careful: tuple[tuple[int, int], ...] = ()) -> int:
        number = next(self.ids)
        self.workers.unmarshallers[worker].post(Lease(number, 0, 0, min(stop, self.size), careful=careful))
        return number

    def reset(self) -> int:
        epoch = next(self.epochs)
        for port in self.workers.aggregators:
            port.post(Reset(epoch))
        return epoch

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = monotonic() + PATIENCE_S
        while not condition():
            assert monotonic() < deadline
            self.heard += self.workers.poll(50)

    def blocks(self, lease: int) -> list[ColumnBlock]:
        return [event for event in self.heard if isinstance(event, ColumnBlock) and event.lease == lease]

    def read(self, lease: int) -> list[ColumnBlock]:
        """Everything of a lease of the whole file."""
        self.until(lambda: any(block.next >= self.size for block in self.blocks(lease)))
        return self.blocks(lease)

    def answers(self, count: int) -> list[tuple[int, int, int, object]]:
        """So many, and all since the last time: shard, epoch, window and unique users."""
        found: list[ShardAnswer] = []

        def enough() -> bool:
            found[:] = [event for event in self.heard if isinstance(event, ShardAnswer)]
            return len(found) >= count

        self.until(enough)
        self.heard = [event for event in self.heard if not isinstance(event, ShardAnswer)]
        return [(each.shard, each.count.epoch, each.count.window, unique(each.count)) for each in found]


def setup_for(path: Path) -> UnmarshallerSetup:
    return UnmarshallerSetup(DecodeSettings(), 1_000, SourceSettings(files=(str(path),)))


@pytest.fixture(scope="module", params=[in_this_process, as_processes])
def open_workers(request: pytest.FixtureRequest) -> Open:
    opened: Open = request.param
    return opened


@pytest.fixture(scope="module")
def bench(open_workers: Open, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    path = tmp_path_factory.mktemp("workers") / "records"
    path.write_bytes(b"".join(b'{"ts":%d,"uid":"u%d"}\n' % (1_800_000_000 + n, n) for n in range(RECORDS)))
    with closing(open_workers(setup_for(path), AggregatorSetup(4))) as workers:
        yield Bench(workers, path.stat().st_size)


def rows(window: int, *users: int) -> WindowRows:
    return WindowRows([window], [len(users)], (np.array(users, np.uint64).tobytes(),))


def test_there_are_as_many_as_were_asked_for(bench: Bench) -> None:
    assert (len(bench.workers.unmarshallers), len(bench.workers.aggregators)) == (READERS, SHARDS)
    bench.until(lambda: not bench.workers.starting)
    bench.until(lambda: bench.workers.silent() == [])
    sample = bench.workers.sample()
    assert sample.configured == sample.alive == {"unmarshaller": READERS, "aggregator": SHARDS}
    names = {f"unmarshaller-{n}" for n in range(READERS)} | {f"aggregator-{n}" for n in range(SHARDS)}
    assert set(sample.backlog_bytes) == names
    assert sample.restarts == {}


@pytest.mark.parametrize("worker", range(READERS))
def test_a_lease_is_read_once_and_in_order(bench: Bench, worker: int) -> None:
    blocks = bench.read(bench.lease(worker))
    assert [block.first for block in blocks] == [0, *(block.next for block in blocks[:-1])]
    assert sum(block.consumed for block in blocks) == RECORDS
    assert np.concatenate([block.event_times() for block in blocks]).tolist() == [
        1_000 * (1_800_000_000 + n) for n in range(RECORDS)
    ]


def test_leases_are_read_in_the_order_in_which_they_were_given(bench: Bench) -> None:
    first, second = bench.lease(), bench.lease()
    bench.read(second)
    order = [event.lease for event in bench.heard if isinstance(event, ColumnBlock)]
    assert max(i for i, lease in enumerate(order) if lease == first) < order.index(second)
    assert bench.blocks(first)[-1].next == bench.size


def test_nothing_of_a_revoked_lease_comes_after_the_next_one(bench: Bench) -> None:
    revoked = bench.lease()
    bench.workers.unmarshallers[0].post(Revoke(0))
    kept = bench.lease()
    assert sum(block.consumed for block in bench.read(kept)) == RECORDS
    order = [event.lease for event in bench.heard if isinstance(event, ColumnBlock)]
    assert revoked not in order[order.index(kept) :]


def test_a_record_that_is_suspect_is_announced(bench: Bench) -> None:
    lease = bench.lease(careful=((0, 1),))
    bench.read(lease)
    of_lease = [
        event for event in bench.heard if isinstance(event, Trying | ColumnBlock) and event.lease == lease
    ]
    assert of_lease[0] == Trying(lease, 0, 0)
    single = of_lease[1]
    assert isinstance(single, ColumnBlock)
    assert (single.first, single.consumed) == (0, 1)


def test_each_shard_answers_for_itself_and_once(bench: Bench) -> None:
    epoch = bench.reset()
    for shard, port in enumerate(bench.workers.aggregators):
        port.post(rows(7, *range(shard + 1), 0))
        port.post(CloseWindow(7))
    found = sorted(bench.answers(SHARDS), key=lambda answer: answer[0])
    assert found == [(shard, epoch, 7, shard + 1) for shard in range(SHARDS)]


def test_answers_come_in_the_order_of_the_questions(bench: Bench) -> None:
    epoch = bench.reset()
    port = bench.workers.aggregators[1]
    for message in (rows(1, 5), rows(2, 5, 6), CloseWindow(2), CloseWindow(1), FreeWindow(2), rows(2, 9)):
        port.post(message)
    port.post(CloseWindow(2))
    assert bench.answers(3) == [(1, epoch, 2, 2), (1, epoch, 1, 1), (1, epoch, 2, 1)]


def test_a_reset_forgets_everything(bench: Bench) -> None:
    bench.workers.aggregators[0].post(rows(3, 1, 2))
    epoch = bench.reset()
    bench.workers.aggregators[0].post(CloseWindow(3))
    assert bench.answers(1) == [(0, epoch, 3, 0)]


def test_a_sample_says_what_was_done_and_is_held(bench: Bench) -> None:
    bench.reset()
    for port in bench.workers.aggregators:
        port.post(rows(5, 1, 2, 3))
    bench.read(bench.lease())
    bench.until(lambda: dict(bench.workers.sample().users) == {5: 3 * SHARDS})
    # Those who read tell it by themselves, before or after those who count.
    bench.until(lambda: "decode" in bench.workers.sample().times.by_stage)
    sample = bench.workers.sample()
    assert sample.held_bytes > 0
    assert {"fetch", "decode", "add"} <= set(sample.times.by_stage)
    assert set(sample.backlog_bytes.values()) == {0}
    assert bench.workers.rss_bytes() == sum(each.rss_bytes or 0 for each in sample.processes.values())


def test_waiting_ends_early_when_there_is_something_else_to_see_to(bench: Bench) -> None:
    reads, writes = os.pipe()
    try:
        os.write(writes, b".")
        bench.workers.watch(reads)
        began = monotonic()
        bench.heard += bench.workers.poll(600_000)
        assert monotonic() - began < PATIENCE_S
        bench.workers.unwatch(reads)
    finally:
        os.close(reads)
        os.close(writes)


def test_groups_come_back_by_name(open_workers: Open, tmp_path: Path) -> None:
    """Read, decoded, dealt to the shards and counted there; user and number are in the same record."""
    decode = DecodeSettings(group_by=("g",), measures=(MeasureSettings("sum", "sum", "n"),))
    path = tmp_path / "records"
    path.write_bytes(
        b"".join(b'{"ts":7,"uid":%d,"g":"g%d","n":%d}\n' % (n, n % 7, n) for n in range(RECORDS))
    )
    setup = UnmarshallerSetup(decode, 1_000, SourceSettings(files=(str(path),)))
    with closing(open_workers(setup, AggregatorSetup(4, decode=decode))) as workers:
        bench = Bench(workers, path.stat().st_size)
        schema = delivered_schema_of(decode)
        router = ShardRouter(workers.aggregators, schema)
        for block in bench.read(bench.lease()):
            router.add(7, schema.view(block.columns), (block.groups,))
            router.flush()
        closing_window = ClosedWindow(7, False, set(range(SHARDS)))
        for port in workers.aggregators:
            port.post(CloseWindow(7))
        bench.until(lambda: sum(isinstance(event, ShardAnswer) for event in bench.heard) == SHARDS)
        for event in bench.heard:
            if isinstance(event, ShardAnswer):
                closing_window.add(event.count, event.shard)
    tables = WindowTables(decode, NO_CEILING)
    groups = tables.table(closing_window, tables.combined(closing_window.answers)).groups
    assert groups is not None
    of_groups = {text: columns for text, *columns in zip(groups.texts, *groups.columns.values(), strict=True)}
    assert of_groups == {
        b'["g%d"]' % g: [len(range(g, RECORDS, 7))] * 2 + [sum(range(g, RECORDS, 7))] for g in range(7)
    }


def test_an_error_is_reported_and_then_one_has_gone_on_or_ended(open_workers: Open, tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with closing(open_workers(setup_for(path), AggregatorSetup(4))) as workers:
        bench = Bench(workers, 100)
        bench.lease()
        with pytest.raises(StreamaggError, match="missing"):
            bench.until(lambda: False)
        if workers.survive_errors:
            assert not any(isinstance(event, UnmarshallerReplaced) for event in workers.poll(0))
        else:
            bench.until(lambda: UnmarshallerReplaced(0) in bench.heard)
