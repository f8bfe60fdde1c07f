"""What every source does: see ``streamagg.sources.contract``."""

import itertools
import os
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Protocol

import msgspec
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streamagg.errors import CheckpointError, StreamaggError
from streamagg.model.batch import Batch, Standing
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import Lease
from streamagg.model.settings import KafkaSettings, SourceSettings
from streamagg.sources.contract import Reader, Source
from streamagg.sources.directory import DirectorySource
from streamagg.sources.open import open_source
from tests.simulation.broker import Broker, Log
from tests.simulation.scenario import Content
from tests.simulation.source import SimSource
from tests.support.instances import wait_until
from tests.support.pipeline import Feed

PATIENCE_S = 30
PARTITIONS = 2
NUMBERS = range(PARTITIONS)
BEYOND = 1 << 40
RECORDS = [b'{"n":%d}' % number for number in range(100)]


class Bench(Protocol):
    """A source of an implementation, and what writes into it."""

    grows: bool
    """More may be written behind the end without making it another source."""

    def source(self) -> Source:
        """Another object each time."""

    def write(self, partition: int, payloads: Sequence[bytes]) -> None:
        """Behind what is there."""

    def make_anew(self) -> None:
        """Other logs under the same name."""


class FilesBench:
    """Plain files."""

    grows = False

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / f"{number}.jsonl" for number in NUMBERS]
        for path in self._paths:
            path.write_bytes(b"")

    def source(self) -> Source:
        return open_source(SourceSettings(files=tuple(map(str, self._paths))))

    def missing(self) -> Source:
        return open_source(SourceSettings(files=(str(self._paths[0] / "missing"),)))

    def write(self, partition: int, payloads: Sequence[bytes]) -> None:
        with self._paths[partition].open("ab") as file:
            file.writelines(payload + b"\n" for payload in payloads)

    def make_anew(self) -> None:
        for path in self._paths:
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content[::-1])


class DirectoryBench:
    """A directory for each partition, and two files in it."""

    grows = True

    def __init__(self, directory: Path) -> None:
        self._root = directory / "in"
        self._settle_ms = 0
        self._make()

    def source(self) -> Source:
        return DirectorySource(str(self._root), self._settle_ms)

    def missing(self) -> Source:
        return DirectorySource(str(self._root / "missing"), self._settle_ms)

    def write(self, partition: int, payloads: Sequence[bytes]) -> None:
        before = (self._root / str(partition) / "b.jsonl").exists()
        half = 0 if before else len(payloads) // 2
        self._append(partition, "a.jsonl", payloads[:half])
        self._append(partition, "b.jsonl", payloads[half:])

    def hide(self) -> None:
        """A file that is read when nobody writes to it."""
        directory = self._root / "0"
        (directory / "c.csv").write_bytes(b"n\n1\n")
        os.utime(directory / "a.jsonl", (0, 0))
        self._settle_ms = PATIENCE_S * 1_000

    def make_anew(self) -> None:
        self._root.rename(self._root.with_name("before"))
        self._make()

    def _append(self, partition: int, name: str, payloads: Sequence[bytes]) -> None:
        with (self._root / str(partition) / name).open("ab") as file:
            file.writelines(payload + b"\n" for payload in payloads)

    def _make(self) -> None:
        for number in NUMBERS:
            (self._root / str(number)).mkdir(parents=True)
            self._append(number, "a.jsonl", [])


class SimBench:
    """The logs of the simulator."""

    grows = True

    def __init__(self) -> None:
        self._broker = Broker()
        self._chance = random.Random(1)
        self._make()

    def source(self) -> Source:
        return SimSource(self._broker, self._chance, lambda partition: False)

    def write(self, partition: int, payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            self._broker.logs[partition].append(Content(payload, -1, None), self._chance, 0)

    def hide(self) -> None:
        """Write into partition 0 what readers do not get yet."""
        log = self._broker.logs[0]
        log.hidden_from = log.end
        self.write(0, [b"hidden"])

    def make_anew(self) -> None:
        self._broker.input_id = "simulated again"
        self._make()

    def _make(self) -> None:
        self._broker.logs = {number: Log(0, 0) for number in NUMBERS}


class TopicBench:
    """A topic of a real broker."""

    grows = True

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._name = f"source-{uuid.uuid4().hex[:12]}"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._open: Producer | None = None
        self._make()

    def source(self) -> Source:
        return open_source(SourceSettings(self._name, KafkaSettings(self._bootstrap)))

    def missing(self) -> Source:
        return open_source(SourceSettings(f"{self._name}-missing", KafkaSettings(self._bootstrap)))

    def write(self, partition: int, payloads: Sequence[bytes]) -> None:
        Feed(self._bootstrap, self._name).send(payloads, partition=partition)

    def hide(self) -> None:
        """Write into partition 0 what readers do not get yet."""
        producer = Producer({"bootstrap.servers": self._bootstrap, "transactional.id": self._name})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        producer.produce(self._name, b"hidden", partition=0)
        assert producer.flush(PATIENCE_S) == 0
        self._open = producer

    def make_anew(self) -> None:
        self._admin.delete_topics([self._name])[self._name].result(PATIENCE_S)
        self._make()

    def close(self) -> None:
        if self._open is not None:
            self._open.abort_transaction(PATIENCE_S)

    def _make(self) -> None:
        wait_until(self._made, "a topic")
        wait_until(self._known, "the topic's id")

    def _made(self) -> bool:
        """False while an old one is on its way out."""
        try:
            self._admin.create_topics([NewTopic(self._name, PARTITIONS, 1)])[self._name].result(PATIENCE_S)
        except KafkaException:
            return False
        return True

    def _known(self) -> bool:
        try:
            return self.source().identity().partitions == PARTITIONS
        except StreamaggError:
            return False


FILES, DIRECTORY, SIMULATED = "files", "directory", "simulated"
TOPIC = pytest.param("topic", marks=pytest.mark.kafka)


def only(*which: object) -> pytest.MarkDecorator:
    """A test of what not every source has."""
    return pytest.mark.parametrize("bench", which, indirect=True)


@pytest.fixture(params=[FILES, DIRECTORY, SIMULATED, TOPIC])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "files":
        yield FilesBench(tmp_path)
    elif request.param == "directory":
        yield DirectoryBench(tmp_path)
    elif request.param == "simulated":
        yield SimBench()
    else:
        topic = TopicBench(request.getfixturevalue("broker"))
        yield topic
        topic.close()


def found(source: Source, lease: Lease) -> Lease:
    """The lease as the source gives it out."""
    if source.marks is None:
        return lease
    stop, where = source.marks.stretch(lease.partition, lease.start, lease.stop - lease.start, lease.stop)
    return msgspec.structs.replace(lease, stop=stop, where=where)


def reader_of(source: Source) -> Reader:
    return source.reader(1 << 20, ClientNumbers())


def read(
    reader: Reader, leases: Iterable[Lease], enough: Callable[[list[Batch]], bool] = lambda batches: False
) -> list[Batch]:
    """Until there is enough, or the leases are done."""
    for lease in leases:
        reader.add(lease)
    batches: list[Batch] = []
    deadline = monotonic() + PATIENCE_S
    while not enough(batches) and reader.busy:
        assert monotonic() < deadline
        # A payload may be a place in what the reader has fetched.
        batches += [replace(batch, payloads=list(batch.payloads)) for batch in reader.poll(50)]
    return batches


def read_all(source: Source, leases: Iterable[Lease]) -> list[Batch]:
    with closing(reader_of(source)) as reader:
        return read(reader, leases)


def rows(batches: Iterable[Batch]) -> list[tuple[int, bytes | None]]:
    return [row for batch in batches for row in zip(batch.offsets.tolist(), batch.payloads, strict=True)]


def whole(source: Source) -> list[Lease]:
    """All of each partition."""
    begins, ends = source.offsets(NUMBERS, "earliest"), source.log_ends(NUMBERS)
    return [found(source, Lease(number, number, begins[number], ends[number])) for number in NUMBERS]


def covered(batches: Iterable[Batch], lease: Lease) -> bool:
    """Its batches follow one another from its start to its stop."""
    at = lease.start
    for batch in batches:
        if batch.lease == lease.id:
            assert (batch.partition, batch.first) == (lease.partition, at)
            assert all(batch.first <= offset < batch.next for offset in batch.offsets.tolist())
            at = batch.next
    return at == lease.stop


@only(FILES, DIRECTORY, TOPIC)
def test_making_one_asks_nobody_anything(bench: FilesBench | DirectoryBench | TopicBench) -> None:
    source = bench.missing()
    with pytest.raises(StreamaggError):
        source.identity()


def test_partitions(bench: Bench) -> None:
    source = bench.source()
    assert source.partitions() == PARTITIONS
    assert source.identity().partitions == PARTITIONS


def test_an_empty_partition_begins_at_its_end(bench: Bench) -> None:
    source = bench.source()
    begins = source.offsets(NUMBERS, "earliest")
    assert begins == source.offsets(NUMBERS, "latest") == source.log_ends(NUMBERS)


def test_a_partition_is_read_in_order(bench: Bench) -> None:
    bench.write(0, RECORDS)
    bench.write(1, RECORDS[::-1])
    source = bench.source()
    leases = whole(source)
    batches = read_all(source, leases)
    for number, written in enumerate([RECORDS, RECORDS[::-1]]):
        found = rows(batch for batch in batches if batch.partition == number)
        offsets = [offset for offset, _ in found]
        assert [payload for _, payload in found] == written
        assert offsets == sorted(set(offsets))
        assert covered(batches, leases[number])


def test_a_position_means_the_same_to_whoever_goes_on_there(bench: Bench) -> None:
    bench.write(0, RECORDS)
    lease = whole(bench.source())[0]
    every = rows(read_all(bench.source(), [lease]))
    for number in (1, 50, 99):
        again = bench.source()
        again.identity()
        rest = found(again, Lease(number, 0, every[number][0], lease.stop))
        assert rows(read_all(again, [rest])) == every[number:]


@pytest.mark.parametrize("readers", [1, 2])
def test_leases_give_every_record_once_wherever_they_are_cut(bench: Bench, readers: int) -> None:
    bench.write(0, RECORDS)
    source = bench.source()
    all_of_it = whole(source)[0]
    span = all_of_it.stop - all_of_it.start
    cuts = [all_of_it.start + span * part // 7 for part in range(8)]
    leases = [
        found(source, Lease(n, 0, start, stop)) for n, (start, stop) in enumerate(itertools.pairwise(cuts))
    ]
    batches = [batch for number in range(readers) for batch in read_all(source, leases[number::readers])]
    assert sorted(rows(batches)) == rows(read_all(source, [all_of_it]))
    assert all(covered(batches, lease) for lease in leases)


def test_the_end_of_a_partition_is_told(bench: Bench) -> None:
    bench.write(0, RECORDS[:10])
    source = bench.source()
    end = source.log_ends([0])[0]
    with closing(reader_of(source)) as reader:
        lease = found(source, Lease(0, 0, 0, BEYOND))
        batches = read(reader, [lease], lambda batches: any(batch.caught_up for batch in batches))
        assert batches[-1].caught_up
        assert batches[-1].next == (end if bench.grows else BEYOND)
        assert len(rows(batches)) == 10
        waits = bench.grows and source.marks is None
        assert reader.busy == waits, "a log that grows is waited for, unless its leases end where it does"


def test_what_is_revoked_is_not_read_on(bench: Bench) -> None:
    bench.write(0, RECORDS)
    bench.write(1, RECORDS)
    source = bench.source()
    first, second = whole(source)
    with closing(reader_of(source)) as reader:
        reader.add(first)
        reader.revoke(0)
        assert not reader.busy
        assert {batch.partition for batch in read(reader, [second])} == {1}
        assert len(rows(read(reader, [first]))) == len(RECORDS)
        reader.add(first)
        reader.add(second)
        reader.revoke(None)
        assert not reader.busy


@only(DIRECTORY, SIMULATED, TOPIC)
def test_what_is_written_behind_the_end_moves_nothing(bench: Bench) -> None:
    bench.write(0, RECORDS[:10])
    source = bench.source()
    identity, ends = source.identity(), source.log_ends(NUMBERS)
    before = rows(read_all(source, whole(source)[:1]))
    bench.write(0, RECORDS[10:])
    assert source.identity() == identity
    assert source.log_ends([0])[0] > ends[0]
    after = rows(read_all(source, whole(source)[:1]))
    assert (after[:10], [payload for _, payload in after]) == (before, RECORDS)


def test_the_identity_lasts_as_long_as_the_logs(bench: Bench) -> None:
    bench.write(0, RECORDS)
    source = bench.source()
    known = source.identity()
    assert known.id
    assert source.confirm(known.id) == source.confirm("") == bench.source().identity() == known

    bench.make_anew()

    for asked in (source, bench.source()):
        assert asked.identity().id not in ("", known.id)
        with pytest.raises(CheckpointError):
            asked.confirm(known.id)


def test_everything_comes_after_the_beginning_of_time(bench: Bench) -> None:
    bench.write(0, RECORDS)
    source = bench.source()
    assert source.offsets(NUMBERS, 1) == source.offsets(NUMBERS, "earliest")


def test_nothing_holds_up_what_can_be_read(bench: Bench) -> None:
    bench.write(0, RECORDS)
    source = bench.source()
    assert source.held({0: Standing(0, source.log_ends([0])[0])}) == {}


@only(DIRECTORY, SIMULATED, TOPIC)
def test_what_readers_do_not_get_is_held_up(bench: DirectoryBench | SimBench | TopicBench) -> None:
    bench.write(0, RECORDS)
    bench.hide()
    source = bench.source()
    reached, end = source.offsets([0], "latest")[0], source.log_ends([0])[0]
    assert reached < end
    assert source.held({0: Standing(reached, end)}) == {0: source.hidden_by}
    assert source.hold_timeout_ms() > 0
    with closing(reader_of(source)) as reader:
        lease = found(source, Lease(0, 0, 0, end))
        batches = read(reader, [lease], lambda batches: len(rows(batches)) == len(RECORDS))
        assert [payload for _, payload in rows(batches)] == RECORDS
        assert all(batch.next <= reached for batch in batches)
