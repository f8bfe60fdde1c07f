"""What an unmarshaller measures of its batches."""

from collections.abc import Sequence

import numpy as np
import pytest

from streamagg.decode import Decoded, Decoder
from streamagg.engine.workers.unmarshaller import Unmarshaller
from streamagg.model.batch import Batch
from streamagg.model.columns import schema_of
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import ColumnBlock, Lease
from streamagg.model.settings import DecodeSettings, MeasureSettings

PAYLOADS = [b'{"ts": 1, "uid": "a"}', None, b'{"ts": 2, "uid": "bcd"}']
SIZE = 21 + 23


class Script:
    """A reader that hands these batches out, one list at a time."""

    def __init__(self, *polls: list[Batch]) -> None:
        self._polls = list(polls)
        self.busy = True

    def add(self, lease: Lease) -> None:
        """Read what it says anyway."""

    def revoke(self, partition: int | None) -> None:
        """Read what it says anyway."""

    def poll(self, timeout_ms: int) -> list[Batch]:
        return self._polls.pop(0)

    def close(self) -> None:
        """Nothing to close."""


class Counting:
    """A decoder that counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0
        self._decoder = Decoder(DecodeSettings())

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        self.calls += 1
        return self._decoder.decode(payloads)


def batch(lease: int = 1) -> Batch:
    return Batch(lease, 0, 0, 3, 3, True, PAYLOADS, np.arange(3), payload_bytes=SIZE)


def seen(unmarshaller: Unmarshaller) -> dict[str, int]:
    return {stage: sum(times.counts) for stage, times in unmarshaller.times.by_stage.items()}


def blocks(unmarshaller: Unmarshaller) -> list[ColumnBlock]:
    return [block for block in unmarshaller.step(0) if isinstance(block, ColumnBlock)]


def test_a_fetch_that_brings_nothing_is_no_batch() -> None:
    unmarshaller = Unmarshaller(Script([], [batch(), batch()], []), Counting(), 1_000)
    assert blocks(unmarshaller) == []
    assert seen(unmarshaller) == {}
    assert len(blocks(unmarshaller)) == 2
    assert blocks(unmarshaller) == []
    assert seen(unmarshaller) == {"fetch": 1, "decode": 2}


def test_a_block_tells_the_size_of_its_payloads() -> None:
    (block,) = blocks(Unmarshaller(Script([batch()]), Counting(), 1_000))
    assert (block.payload_bytes, block.consumed, block.rejected) == (SIZE, 3, {"tombstone": 1})


@pytest.mark.parametrize("poison", [(), (0,)])
def test_records_that_are_read_one_by_one_add_up_to_the_same_size(poison: tuple[int, ...]) -> None:
    decoder = Counting()
    unmarshaller = Unmarshaller(Script([batch(lease=5)]), decoder, 1_000)
    unmarshaller.handle(Lease(5, 0, 0, 3, careful=((0, 3),), poison=poison))
    found = blocks(unmarshaller)
    assert [block.payload_bytes for block in found] == [21, 0, 23]
    assert sum(block.consumed for block in found) == 3
    assert seen(unmarshaller) == {"fetch": 1, "decode": decoder.calls}
    assert decoder.calls == 3 - len(poison)


def test_the_numbers_of_the_client_are_those_that_the_reader_fills() -> None:
    numbers = ClientNumbers()
    unmarshaller = Unmarshaller(Script(), Counting(), 1_000, client=numbers)
    numbers.failed("_TRANSPORT")
    assert unmarshaller.client.errors == {"_TRANSPORT": 1}


@pytest.mark.parametrize("careful", [False, True])
def test_blocks_carry_groups_values_and_how_many_were_ignored(careful: bool) -> None:
    settings = DecodeSettings(
        user_field=None, group_by=("country",), measures=(MeasureSettings("m", "sum", "x"),)
    )
    payloads = [b'{"ts":1,"country":"DE","x":1.5}', b'{"ts":1}', b'{"ts":1,"country":"DE","x":"1"}']
    read = Batch(5, 0, 0, 3, 3, True, payloads, np.arange(3))
    unmarshaller = Unmarshaller(Script([read]), Decoder(settings), 1_000, settings=settings)
    if careful:
        unmarshaller.handle(Lease(5, 0, 0, 3, careful=((0, 3),), poison=(1,)))
    found = blocks(unmarshaller)
    columns = [schema_of(settings).view(block.columns) for block in found]
    groups, numbers = ([*map(float, np.concatenate(column))] for column in zip(*columns, strict=True))
    texts = [text for block in found for text in block.groups.texts()]
    assert sum(block.ignored.get("m", 0) for block in found) == 1
    assert len(found) == (3 if careful else 1)
    assert texts == ([b'["DE"]', b'["DE"]'] if careful else [b'["DE"]', b"[null]"])
    assert np.array_equal(numbers, [1.5, np.nan] if careful else [1.5, np.nan, np.nan], equal_nan=True)
    assert len(groups) == len(numbers)
