"""When a record of a replay may go: as fast as possible, so many a second, or by event time."""

from collections import Counter
from typing import Final, Protocol

from streamagg.model.settings import DecodeSettings
from streamagg.tools.recount import Recounter, Rejected

GAP_MS: Final = 600_000
"""Longer gaps of event time are not waited for, and one broken timestamp does not stop the replay."""


class Pace(Protocol):
    """Answers, for one record after the other, when it may go."""

    def due_ms(self, record: bytes) -> float:
        """Milliseconds after the start; never less than for the record before."""


class SteadyPace:
    """So many records a second."""

    def __init__(self, records_per_second: float) -> None:
        self._gap_ms = 1_000 / records_per_second
        self._records = 0

    def due_ms(self, record: bytes) -> float:
        """The n-th record is due n gaps after the start."""
        due = self._records * self._gap_ms
        self._records += 1
        return due


class EventTimePace:
    """As the records happened, or a multiple of that speed.

    Records older than one before them, or without a readable time, go at once.
    """

    def __init__(self, speed: float, decode: DecodeSettings, untimed: Counter[str]) -> None:
        """``untimed`` counts records without a readable time, by what is wrong with them."""
        self._speed = speed
        self._recounter = Recounter(decode)
        self._untimed = untimed
        self._latest_ms: int | None = None
        self._odd_ms: int | None = None
        self._due_ms = 0.0

    def due_ms(self, record: bytes) -> float:
        """Event time since the first record, without the gaps, divided by the speed."""
        try:
            time_ms = self._recounter.time_ms(record)
        except Rejected as rejected:
            self._untimed[str(rejected)] += 1
            return self._due_ms
        if self._latest_ms is None:
            self._latest_ms = time_ms
        ahead_ms = time_ms - self._latest_ms
        if ahead_ms > GAP_MS:
            self._jump(time_ms)
        elif ahead_ms > 0:
            self._latest_ms = time_ms
            self._due_ms += ahead_ms / self._speed
        return self._due_ms

    def _jump(self, time_ms: int) -> None:
        """Two records in a row, near each other behind a gap, are believed: time goes on from there."""
        if self._odd_ms is not None and abs(time_ms - self._odd_ms) <= GAP_MS:
            self._latest_ms, self._odd_ms = time_ms, None
        else:
            self._odd_ms = time_ms
