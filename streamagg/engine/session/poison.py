"""Which record kills those who read it.

A worker may die of anything. Only where workers die twice in the same stretch of a partition, what they
read is suspected: the stretch is then read *carefully*, one record at a time, each announced before it is
decoded. A record that two careful readers died of, and none survived, is *poison*: it is not decoded again.
A stretch that is read to its end was not to blame::

    offsets   1000 ........ o ............
    normally  [=====x                        1st death
    normally  [===========x                  2nd: suspected
    carefully [=|=|=|=|=|=|x                 3rd, trying o
    carefully             |x                 4th, trying o again: o is poison
    carefully             |!|=|=|=|=|        o is rejected unread
"""

from dataclasses import dataclass, field
from typing import Final

DEATHS_TO_SUSPECT: Final = 2
"""One death may be anything; a second one in the same place hardly is."""
_MOST_STRETCHES: Final = 32
"""Stretches of a partition that are remembered, a bound for memory: beyond it the oldest is forgotten."""


@dataclass(slots=True)
class _Stretch:
    """Offsets ``[first, until)`` in which workers died."""

    first: int
    until: int
    deaths: int = 0


@dataclass(slots=True)
class Suspicion:
    """What is suspected of the records of one partition."""

    length: int
    """Offsets that a death makes suspect."""
    poison: set[int] = field(default_factory=set)
    """Offsets of the records that are not to be decoded."""
    _stretches: list[_Stretch] = field(default_factory=list)
    _accused: set[int] = field(default_factory=set)
    """Records that one careful reader died of."""

    def careful(self, start: int, stop: int) -> tuple[tuple[int, int], ...]:
        """What of the offsets ``[start, stop)`` is to be read one record at a time, as ranges."""
        suspected = (s for s in self._stretches if s.deaths >= DEATHS_TO_SUSPECT)
        return tuple((s.first, s.until) for s in suspected if s.first < stop and start < s.until)

    def survived(self, offset: int) -> None:
        """A careful reader has come past this record."""
        self._accused.discard(offset)

    def died(self, at: int, tried: int | None) -> int:
        """Note a death at offset ``at``, while ``tried`` was decoded by itself, if that is known.

        Returns how many deaths since the last call are blamed on records: the two that make a stretch
        suspect, then each one of a record that was decoded by itself.
        """
        deaths = self._note(at)
        if tried is None:
            return deaths if deaths == DEATHS_TO_SUSPECT else 0
        if tried in self._accused:
            self.poison.add(tried)
        self._accused ^= {tried}
        return 1

    def _note(self, at: int) -> int:
        """How many died in this stretch."""
        stretch = next((s for s in self._stretches if s.first <= at < s.until), None)
        if stretch is None:
            stretch = _Stretch(at, at)
            self._stretches = [*self._stretches[1 - _MOST_STRETCHES :], stretch]
        stretch.deaths += 1
        stretch.until = max(stretch.until, at + self.length)
        return stretch.deaths
