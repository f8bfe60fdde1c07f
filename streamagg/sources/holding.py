"""A reading that ends waits for records that are there and cannot be read: for how long, and what is logged.

Behind a transaction that is open a committed reader finds nothing, and nothing comes of a partition without a
leader. Neither is an end. Whether a partition that stands still is held up, or only slow, says the source.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

from streamagg.errors import HeldUp, StreamaggError
from streamagg.events import Log
from streamagg.model.batch import Standing
from streamagg.sources.contract import Source

TOLD_AFTER_S: Final = 30.0
"""Or after half of the hold time-out, if that is shorter."""
_LOOK_EVERY_S: Final = 0.25
"""Looking at the clocks of a reading costs little; asking the broker does not."""
_ASK_EVERY_S: Final = 1.0
"""Between two questions to the broker, and before the first one about a partition that stands still."""

log = Log(__name__)


def tell_held_up(partition: int, at: Standing, why: str) -> None:
    """Warn of a partition whose windows have to wait."""
    log.warning(
        "partition_held_up",
        "partition {partition} cannot be read beyond offset {offset} of {end}: {why}",
        partition=partition,
        offset=at.offset,
        end=at.end,
        why=why,
    )


@dataclass(slots=True)
class _Hold:
    """A partition that stands still."""

    at: Standing
    since_s: float
    told: str | None = None
    """Why, as the log has it last."""


class _Answer(NamedTuple):
    """What the source says."""

    asked: Mapping[int, Standing]
    held: Mapping[int, str]
    timeout_ms: int | None


class EndWatch:
    """Of one reading of a source up to given ends."""

    def __init__(
        self,
        source: Source,
        hold_timeout_ms: int | None,
        outcome: str,
        asking: Executor,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        """``hold_timeout_ms`` None: what the source says.

        ``outcome`` completes "... , so that {outcome}".
        """
        self._source = source
        self._timeout_ms = hold_timeout_ms
        self._outcome = outcome
        self._asking = asking
        self._clock_s = clock_s
        self._holds: dict[int, _Hold] = {}
        self._answer: Future[_Answer] | None = None
        self._next_look_s = 0.0
        self._next_question_s = 0.0
        self.held = False
        """Some partition is held up, as the source has said last."""

    def look(self, standing: Callable[[], Mapping[int, Standing]]) -> None:
        """Ask about partitions that stand still, and act on the answer; never waits.

        Raises HeldUp if one has been held up for the hold time-out.
        """
        now_s = self._clock_s()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + _LOOK_EVERY_S
        self._note(standing(), now_s)
        if self._answer is not None and self._answer.done():
            answer, self._answer = self._answer, None
            self._note_answer(answer, now_s)
        elif self._answer is None and now_s >= self._next_question_s:
            self._ask(now_s)

    def _note(self, standing: Mapping[int, Standing], now_s: float) -> None:
        """Who comes on by a single offset does not stand still."""
        holds = self._holds
        self._holds = {
            number: holds[number] if number in holds and holds[number].at == at else _Hold(at, now_s)
            for number, at in standing.items()
        }
        self.held = self.held and bool(self._holds)

    def _ask(self, now_s: float) -> None:
        asked = {n: hold.at for n, hold in self._holds.items() if now_s - hold.since_s >= _ASK_EVERY_S}
        if asked:
            self._next_question_s = now_s + _ASK_EVERY_S
            self._answer = self._asking.submit(_find_out, self._source, asked, self._timeout_ms)

    def _note_answer(self, answer: Future[_Answer], now_s: float) -> None:
        try:
            asked, found, self._timeout_ms = answer.result()
        except StreamaggError as error:
            log.debug("ends_unknown", "whether partitions are held up is asked again: {error}", error=error)
            return
        held: dict[int, str] = {}
        for number, at in asked.items():
            hold = self._holds.get(number)
            if hold is None or hold.at != at:
                continue
            why = found.get(number)
            if why is None:
                hold.since_s = now_s
            else:
                held[number] = why
        self.held = bool(held)
        if self._timeout_ms is not None:
            self._judge(held, self._timeout_ms / 1000, now_s)

    def _judge(self, held: Mapping[int, str], timeout_s: float, now_s: float) -> None:
        for number, why in held.items():
            hold = self._holds[number]
            waited_s = now_s - hold.since_s
            if waited_s >= min(TOLD_AFTER_S, timeout_s / 2) and hold.told != why:
                hold.told = why
                tell_held_up(number, hold.at, why)
            if waited_s >= timeout_s:
                raise HeldUp(
                    f"Partition {number} of {self._source.name} cannot be read beyond offset {hold.at.offset}"
                    f" of {hold.at.end}: {why}, and it was waited for {timeout_s:g} s, so that"
                    f" {self._outcome}. Run again when that is mended, or wait longer with --hold-timeout."
                )


def _find_out(source: Source, asked: Mapping[int, Standing], timeout_ms: int | None) -> _Answer:
    """Which partitions are held up, and for how long at most that may stay so."""
    held = source.held(asked)
    if timeout_ms is None and held:
        timeout_ms = source.hold_timeout_ms()
    return _Answer(asked, held, timeout_ms)
