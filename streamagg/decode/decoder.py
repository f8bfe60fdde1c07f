"""The decoder: nearly every record through a fast reader, the others through the patient one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from streamagg.decode.fields import Readings
from streamagg.decode.native import AVAILABLE, NativeReader
from streamagg.decode.patient import PatientReader, Verdict
from streamagg.decode.strict import StrictReader
from streamagg.model.columns import Columns, Int64Column, UInt32Column, selected
from streamagg.model.groups import NO_TEXTS, GroupTexts, texts_of
from streamagg.model.settings import DecodeSettings


@dataclass(frozen=True, slots=True)
class Decoded:
    """Accepted records as columns of the same length ``n``, rejected ones as a list."""

    index: UInt32Column
    """Positions of the accepted records among the payloads, ascending, shape ``(n,)``."""
    event_time_ms: Int64Column
    """Milliseconds since the epoch, shape ``(n,)``."""
    columns: Columns
    """Those of ``model.columns.schema_of``, shape ``(n,)``."""
    rejected: list[tuple[int, str]]
    """Position and reason (one of ``model.rejections.REASONS``), ascending."""
    groups: GroupTexts = NO_TEXTS
    """Of the accepted records, each once."""
    ignored: dict[str, int] = field(default_factory=dict)
    """Accepted records whose value in a column is none, and not null; without zeros."""


class FastReader(Protocol):
    """Reads what is certainly right, and refuses everything else."""

    def read(self, payloads: Sequence[bytes | None]) -> Readings:
        """Records by column, and which were refused."""


class Decoder:
    """Decodes payloads by the settings. Built once; keeps no state between calls."""

    def __init__(self, settings: DecodeSettings, *, native: bool = AVAILABLE) -> None:
        """``native``: with the reader in C.

        Raises SettingsError as ``fields.find_paths`` does.
        """
        self._max_record_bytes = settings.max_record_bytes
        self._seed = settings.hash_seed
        self._fast: FastReader = NativeReader(settings) if native else StrictReader(settings)
        self._patient = PatientReader(settings)

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        """Decode the values of consecutive records; None is a record without a value."""
        readings = self._fast.read(payloads)
        verdicts = [(position, self._judge(payloads[position])) for position in readings.refused]
        return _merged(readings, verdicts, self._seed)

    def _judge(self, payload: bytes | None) -> Verdict:
        if payload is None:
            return "tombstone"
        if len(payload) > self._max_record_bytes:
            return "too_large"
        return self._patient.read(payload)


def _merged(readings: Readings, verdicts: list[tuple[int, Verdict]], seed: int) -> Decoded:
    """Fill in the patient reader's verdicts where the fast one refused."""
    event_time_ms, columns = readings.event_time_ms, readings.columns
    index = np.arange(len(event_time_ms), dtype=np.uint32)
    ignored, texts, rejected = Counter(readings.ignored), set[bytes](), []
    for position, verdict in verdicts:
        if isinstance(verdict, str):
            rejected.append((position, verdict))
            continue
        for column, value in zip((event_time_ms, *columns), verdict.row, strict=True):
            column[position] = value
        ignored.update(verdict.ignored)
        if verdict.group is not None:
            texts.add(verdict.group)
    if rejected:
        index = np.delete(index, [position for position, _ in rejected])
        event_time_ms, columns = event_time_ms[index], selected(columns, index)
    groups = _with_texts(readings.groups, texts, seed)
    return Decoded(index, event_time_ms, columns, rejected, groups, dict(ignored))


def _with_texts(groups: GroupTexts, texts: set[bytes], seed: int) -> GroupTexts:
    """The table and those of these texts that are not in it."""
    if not texts:
        return groups
    more = texts_of(sorted(texts.difference(groups.texts())), seed)
    return GroupTexts(
        groups.ids + more.ids,
        groups.checks + more.checks,
        groups.lengths + more.lengths,
        groups.text + more.text,
    )
