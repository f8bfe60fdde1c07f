"""The decoder: nearly every record through the strict reader, the others through the patient one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamagg.decode.event_time import UNITS
from streamagg.decode.fields import find_paths
from streamagg.decode.patient import PatientReader, Verdict
from streamagg.decode.strict import REFUSALS, StrictReader
from streamagg.records import Int64Column, UInt32Column, UInt64Column
from streamagg.settings import DecodeSettings


@dataclass(frozen=True, slots=True)
class Decoded:
    """Accepted records as columns of the same length ``n``, rejected ones as a list."""

    index: UInt32Column
    """Positions of the accepted records among the payloads, ascending, shape ``(n,)``."""
    event_time_ms: Int64Column
    """Milliseconds since the epoch, shape ``(n,)``."""
    user: UInt64Column
    """xxh3 of the UTF-8 bytes of the user id, shape ``(n,)``."""
    rejected: list[tuple[int, str]]
    """Position and reason (one of ``records.REASONS``), ascending."""


class Decoder:
    """Decodes payloads by the settings. Built once; keeps no state between calls."""

    def __init__(self, settings: DecodeSettings) -> None:
        """Raises SettingsError if the two field paths are malformed or in each other's way."""
        paths = find_paths(settings)
        self._max_record_bytes = settings.max_record_bytes
        self._strict = StrictReader(paths, UNITS[settings.time_unit])
        self._patient = PatientReader(paths, settings.time_unit)

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        """Decode the values of consecutive records; None is a record without a value."""
        rows: list[Any] = []
        verdicts: list[tuple[int, Verdict]] = []
        rest = map(self._strict.read, self._without_too_large(payloads))
        while True:
            # When a payload is refused, extend has kept the rows before it, and the map goes on after it.
            try:
                rows.extend(rest)
                break
            except REFUSALS:
                verdicts.append((len(rows), self._judge(payloads[len(rows)])))
                rows.append(self._strict.blank)
        event_time_ms, user = self._strict.columns(rows)
        return _settle(event_time_ms, user, verdicts)

    def _without_too_large(self, payloads: Sequence[bytes | None]) -> Sequence[bytes | None]:
        limit = self._max_record_bytes
        if max(map(len, filter(None, payloads)), default=0) <= limit:
            return payloads
        return [None if payload is None or len(payload) > limit else payload for payload in payloads]

    def _judge(self, payload: bytes | None) -> Verdict:
        if payload is None:
            return "tombstone"
        if len(payload) > self._max_record_bytes:
            return "too_large"
        return self._patient.read(payload)


def _settle(event_time_ms: Int64Column, user: UInt64Column, verdicts: list[tuple[int, Verdict]]) -> Decoded:
    """Put the verdicts of the patient reader where the strict one has left blank rows."""
    index = np.arange(len(event_time_ms), dtype=np.uint32)
    rejected = []
    for position, verdict in verdicts:
        if isinstance(verdict, str):
            rejected.append((position, verdict))
        else:
            event_time_ms[position], user[position] = verdict
    if rejected:
        index = np.delete(index, [position for position, _ in rejected])
        event_time_ms, user = event_time_ms[index], user[index]
    return Decoded(index, event_time_ms, user, rejected)
