"""Silence: which partitions are idle, or only slow.

No data alone is no silence: a broker that is away looks the same, and so does a transaction that is still
open. So wherever nothing comes, the end of the log is asked for again and again, and a partition is idle once

1. nothing has come for the idle time-out, and
2. for half of it the broker has said, whenever it was asked, that nothing follows what was read.

::

    idle time-out 10 s   0 s       5 s       10 s      ✓ the end is where reading has come to
    arrivals           ┃┃┃                             ? no answer, or the end has moved
    asked                          ✓  ✓  ✓  ✓ idle
    asked                          ✓  ?  ✓  ✓  ✓ idle  half of the time begins again

Where something arrives now and then and all of it is set aside, the partition is not idle; but what it set
aside is believed once the first of it has stood for the idle time-out, if nothing follows what was read.

Pure: times and ends come in, decisions go out. What an idle partition means for the watermark only the
sequencer knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Decision = Literal["idle", "believe"]

_ASKED_IN_PART: Final = 2
"""One part in two: for half the idle time-out the broker has to say that nothing follows. When it comes back
after an outage its producers have a backlog, of one partition sooner than of the other (docs/design.md)."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A partition that is not idle, and read to its end as last heard."""

    position: int
    believable: bool
    """Some of what it has set aside might be believed."""


@dataclass(slots=True)
class _Quiet:
    """A partition; its times are of a clock that is never set."""

    arrived_ms: int
    """When something came last."""
    stands_since_ms: int
    """When the first record came that is set aside."""
    first_aside: int | None
    """The offset of that one."""
    at_end_ms: int | None = None
    """Since when the broker has said, whenever it was asked, that nothing follows; None: it has not."""

    def since_ms(self, at: CaughtUp) -> int:
        return self.stands_since_ms if at.believable else self.arrived_ms


class Silence:
    """Of all partitions of a session."""

    def __init__(self, timeout_ms: int, held_up_after_ms: int) -> None:
        """``held_up_after_ms``: a partition is held up that cannot be read to its end for so long."""
        self._timeout_ms = timeout_ms
        self._held_up_after_ms = held_up_after_ms
        self._partitions: dict[int, _Quiet] = {}
        self._arrived_ms = 0
        self._held_up: dict[int, int | None] = {}
        """Since when a partition is held up; None once that has been reported."""

    def begin(self, partition: int, first_aside: int | None, now_ms: int) -> None:
        """Begin with a partition; ``first_aside`` is the offset of the first record that is set aside."""
        self._partitions[partition] = _Quiet(now_ms, now_ms, first_aside)
        self._arrived_ms = max(self._arrived_ms, now_ms)

    def arrived(self, partition: int, now_ms: int) -> None:
        """Records of a partition have come."""
        quiet = self._partitions[partition]
        quiet.arrived_ms = now_ms
        quiet.at_end_ms = None
        self._arrived_ms = max(self._arrived_ms, now_ms)

    def applied(self, partition: int, first_aside: int | None) -> None:
        """Records were applied or decided; ``first_aside`` is the first that is still set aside."""
        quiet = self._partitions[partition]
        if first_aside != quiet.first_aside:
            quiet.first_aside = first_aside
            quiet.stands_since_ms = quiet.arrived_ms

    def length_ms(self, now_ms: int) -> int:
        """How long nothing has come of any partition."""
        return max(0, now_ms - self._arrived_ms)

    def quiet(self, caught_up: Mapping[int, CaughtUp], now_ms: int) -> list[int]:
        """Those of which nothing has come for half the idle time-out: their ends are to be asked for.

        Either nothing arrived, or what did is set aside and might be believed.
        """
        return [
            number
            for number, at in caught_up.items()
            if now_ms - self._partitions[number].since_ms(at) >= self._timeout_ms / _ASKED_IN_PART
        ]

    def confirm(
        self, caught_up: Mapping[int, CaughtUp], ends: Mapping[int, int], asked_ms: int
    ) -> dict[int, Decision]:
        """The end offsets, asked for after ``quiet``: what follows from them.

        Nothing does if anything arrived after the question: the answer may be as old as the question.
        """
        decisions: dict[int, Decision] = {}
        for number in self.quiet(caught_up, asked_ms):
            quiet, at = self._partitions[number], caught_up[number]
            if ends.get(number) != at.position:
                quiet.at_end_ms = None
                continue
            if quiet.at_end_ms is None:
                quiet.at_end_ms = asked_ms
            confirmed_for_ms = asked_ms - quiet.at_end_ms
            if asked_ms - quiet.arrived_ms < self._timeout_ms:
                if asked_ms - quiet.since_ms(at) >= self._timeout_ms:
                    decisions[number] = "believe"
            elif confirmed_for_ms >= self._timeout_ms / _ASKED_IN_PART:
                decisions[number] = "idle"
        return decisions

    def ends_unknown(self) -> None:
        """The broker does not answer: any silence begins again."""
        for quiet in self._partitions.values():
            quiet.at_end_ms = None

    def held_up(self, positions: Mapping[int, int], ends: Mapping[int, int], now_ms: int) -> list[int]:
        """Of those that were asked for, what cannot be read to its end for long, each once.

        It keeps windows from closing, and is neither silent nor busy: a transaction that is open, say.
        """
        waiting = [number for number, end in ends.items() if positions[number] < end]
        self._held_up = {number: self._held_up.get(number, now_ms) for number in waiting}
        told = [
            number
            for number, since_ms in self._held_up.items()
            if since_ms is not None and now_ms - since_ms >= self._held_up_after_ms
        ]
        self._held_up |= dict.fromkeys(told)
        return told
