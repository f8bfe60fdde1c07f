"""Fetch and decode: leases in, column blocks out. Stateless but for its leases."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Protocol

import numpy as np

from streamagg.decode import Decoded
from streamagg.engine.reporting.examiner import Examiner, Findings
from streamagg.model.batch import Batch, behind_first
from streamagg.model.columns import by_measure, schema_of
from streamagg.model.measured import ClientNumbers, StageTimes
from streamagg.model.messages import ColumnBlock, Heartbeat, Lease, Revoke, Trying, UnmarshallerSetup
from streamagg.model.settings import PLAIN, DecodeSettings
from streamagg.sources.contract import DeadLetters, Reader
from streamagg.sources.open import open_dead_letters, open_source


class Decodes(Protocol):
    """What reads payloads: ``decode.Decoder``."""

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        """Decode the values of consecutive records."""


class Unmarshaller:
    """Turns the batches of a reader into column blocks."""

    def __init__(
        self,
        reader: Reader,
        decoder: Decodes,
        max_jump_ms: int,
        dead_letters: DeadLetters | None = None,
        client: ClientNumbers | None = None,
        examiner: Examiner | None = None,
        settings: DecodeSettings = PLAIN,
    ) -> None:
        """``client``: where the reader notes what its clients meet with; ``settings``: of the decoder."""
        self._reader = reader
        self._decoder = decoder
        self._max_jump_ms = max_jump_ms
        self._dead_letters = dead_letters
        self._examiner = examiner
        self.client = client or ClientNumbers()
        self.times = StageTimes()
        self._measures = settings.measures
        nothing = schema_of(settings).none()
        self._poison = Decoded(np.empty(0, np.uint32), np.empty(0, np.int64), nothing, [(0, "poison")])
        self._careful: dict[int, Lease] = {}
        """Leases of which some records need care, by id."""

    @property
    def busy(self) -> bool:
        """There is a lease to read."""
        return self._reader.busy

    def handle(self, message: Lease | Revoke) -> None:
        """Take a lease, or give leases up."""
        if isinstance(message, Lease):
            self._reader.add(message)
            if message.careful or message.poison:
                self._careful[message.id] = message
        else:
            self._reader.revoke(message.partition)
            self._careful = {
                number: lease
                for number, lease in self._careful.items()
                if message.partition not in (None, lease.partition)
            }

    def step(self, timeout_ms: int) -> Iterator[ColumnBlock | Trying]:
        """Fetch and decode what comes within the time-out."""
        for batch in self._fetch(timeout_ms):
            lease = self._careful.get(batch.lease)
            if lease is None:
                yield self._read(batch, self._decode(batch))
                continue
            if batch.next >= lease.stop:
                del self._careful[lease.id]
            yield from self._read_with_care(batch, lease)

    def _fetch(self, timeout_ms: int) -> list[Batch]:
        began = perf_counter()
        batches = self._reader.poll(timeout_ms)
        if batches:
            self.times.took("fetch", perf_counter() - began)
        return batches

    def _decode(self, batch: Batch) -> Decoded:
        began = perf_counter()
        decoded = self._decoder.decode(batch.payloads)
        self.times.took("decode", perf_counter() - began)
        return decoded

    def _read(self, batch: Batch, decoded: Decoded) -> ColumnBlock:
        if decoded.rejected and self._dead_letters is not None:
            self._dead_letters.put(batch, decoded.rejected)
        findings = Findings() if self._examiner is None else self._examiner.examine(batch, decoded)
        ignored = by_measure(self._measures, decoded.ignored)
        return _block(batch, decoded, self._max_jump_ms, findings, ignored)

    def _read_with_care(self, batch: Batch, lease: Lease) -> Iterator[ColumnBlock | Trying]:
        """Announce each record that is suspect, then decode it by itself; leave poison alone."""
        places = (*lease.careful, *((offset, offset + 1) for offset in lease.poison))
        if not any(first < batch.next and batch.first < until for first, until in places):
            yield self._read(batch, self._decode(batch))
            return
        for single in _singles(batch):
            offsets = single.offsets.tolist()
            if offsets and offsets[0] in lease.poison:
                yield self._read(single, self._poison)
                continue
            if offsets:
                yield Trying(lease.id, batch.partition, offsets[0])
            yield self._read(single, self._decode(single))

    def heartbeat(self, cpu_s: float, rss_bytes: int) -> Heartbeat:
        """What it has done, in a process that uses so much."""
        return Heartbeat(cpu_s, rss_bytes, self.times, self.client)

    def close(self) -> None:
        """Give up connections and files."""
        self._reader.close()


def open_unmarshaller(setup: UnmarshallerSetup, decoder: Decodes) -> Unmarshaller:
    """One that reads what its setup names."""
    numbers = ClientNumbers()
    reader = open_source(setup.source).reader(setup.decode.max_record_bytes, numbers)
    letters = open_dead_letters(setup.source, setup.dead_letter)
    examiner = Examiner(setup.decode)
    return Unmarshaller(reader, decoder, setup.max_jump_ms, letters, numbers, examiner, setup.decode)


def _singles(batch: Batch) -> Iterator[Batch]:
    """The records of a batch, each in a batch of its own; together they cover the same offsets."""
    last = len(batch.payloads) - 1
    if last < 1:
        yield batch
        return
    following = [*(batch.offsets[:-1] + 1).tolist(), batch.next]
    for number, stop in enumerate(following):
        at = slice(number, number + 1)
        yield replace(
            batch,
            first=following[number - 1] if number else batch.first,
            next=stop,
            caught_up=batch.caught_up and number == last,
            payloads=batch.payloads[at],
            payload_bytes=len(batch.payloads[number] or b""),
            offsets=batch.offsets[at],
            timestamps_ms=None if batch.timestamps_ms is None else batch.timestamps_ms[at],
            appended_ms=None if batch.appended_ms is None else batch.appended_ms[at],
            origin=behind_first(batch.origin, number),
        )


def _block(
    batch: Batch, decoded: Decoded, max_jump_ms: int, findings: Findings, ignored: dict[str, int]
) -> ColumnBlock:
    whole = len(decoded.index) == len(batch.payloads)
    live = None
    if batch.appended_ms is not None:
        appended = batch.appended_ms[decoded.index]
        live = ((np.abs(appended - decoded.event_time_ms) <= max_jump_ms) & (appended >= 0)).tobytes()
    rejected: dict[str, int] = {}
    for _, reason in decoded.rejected:
        rejected[reason] = rejected.get(reason, 0) + 1
    return ColumnBlock(
        lease=batch.lease,
        partition=batch.partition,
        first=batch.first,
        next=batch.next,
        end=batch.end,
        caught_up=batch.caught_up,
        consumed=len(batch.payloads),
        rejected=rejected,
        event_time_ms=decoded.event_time_ms.tobytes(),
        columns=tuple([column.tobytes() for column in decoded.columns]),
        delta=((batch.offsets if whole else batch.offsets[decoded.index]) - batch.first)
        .astype(np.uint32)
        .tobytes(),
        live=live,
        payload_bytes=batch.payload_bytes,
        early=findings.early,
        ahead=findings.ahead,
        misfits=findings.misfits,
        groups=decoded.groups,
        ignored=ignored,
        growing=batch.growing,
    )
