"""The decoder: nearly every record through a fast reader, the others through the patient one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamagg.decode.event_time import UNITS
from streamagg.decode.fields import Readings, find_paths
from streamagg.decode.native import AVAILABLE, NativeReader
from streamagg.decode.patient import PatientReader, Verdict
from streamagg.decode.strict import StrictReader
from streamagg.model.columns import Columns, Int64Column, UInt32Column, selected
from streamagg.model.settings import DecodeSettings


@dataclass(frozen=True, slots=True)
class Decoded:
    """Accepted records as columns of the same length ``n``, rejected ones as a list."""

    index: UInt32Column
    """Positions of the accepted records among the payloads, ascending, shape ``(n,)``."""
    event_time_ms: Int64Column
    """Milliseconds since the epoch, shape ``(n,)``."""
    columns: Columns
    """Those of ``model.columns.ROWS``, shape ``(n,)``."""
    rejected: list[tuple[int, str]]
    """Position and reason (one of ``model.rejections.REASONS``), ascending."""


class FastReader(Protocol):
    """Reads what is certainly right, and refuses everything else."""

    def read(self, payloads: Sequence[bytes | None]) -> Readings:
        """Records by column, and which were refused."""


class Decoder:
    """Decodes payloads by the settings. Built once; keeps no state between calls."""

    def __init__(self, settings: DecodeSettings, *, native: bool = AVAILABLE) -> None:
        """``native``: with the reader in C.

        Raises SettingsError if the two field paths are malformed or one contains the other.
        """
        paths = find_paths(settings)
        limit = settings.max_record_bytes
        self._max_record_bytes = limit
        self._fast: FastReader = (
            NativeReader(paths, settings.time_unit, limit, settings.framing)
            if native
            else StrictReader(paths, UNITS[settings.time_unit], limit, settings.framing)
        )
        self._patient = PatientReader(paths, settings.time_unit, settings.framing)

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        """Decode the values of consecutive records; None is a record without a value."""
        event_time_ms, columns, refused = self._fast.read(payloads)
        verdicts = [(position, self._judge(payloads[position])) for position in refused]
        return _merged(event_time_ms, columns, verdicts)

    def _judge(self, payload: bytes | None) -> Verdict:
        if payload is None:
            return "tombstone"
        if len(payload) > self._max_record_bytes:
            return "too_large"
        return self._patient.read(payload)


def _merged(event_time_ms: Int64Column, columns: Columns, verdicts: list[tuple[int, Verdict]]) -> Decoded:
    """Fill in the patient reader's verdicts where the fast one refused."""
    index = np.arange(len(event_time_ms), dtype=np.uint32)
    rejected = []
    for position, verdict in verdicts:
        if isinstance(verdict, str):
            rejected.append((position, verdict))
        else:
            for column, value in zip((event_time_ms, *columns), verdict, strict=True):
                column[position] = value
    if rejected:
        index = np.delete(index, [position for position, _ in rejected])
        event_time_ms, columns = event_time_ms[index], selected(columns, index)
    return Decoded(index, event_time_ms, columns, rejected)
