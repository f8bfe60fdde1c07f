"""Slow questions about the input, asked in a thread: is silence its end, is it still the same topic?"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, time
from typing import Final

from streamagg.engine.leadership.start_offsets import EARLIEST, openings
from streamagg.engine.main_loop import monotonic_ms
from streamagg.engine.session.plan import Opening
from streamagg.engine.session.session import Session
from streamagg.errors import KafkaFailed, StreamaggError, Unreachable
from streamagg.events import Log
from streamagg.model.settings import RunSettings
from streamagg.sources.contract import Source
from streamagg.sources.holding import EndWatch, tell_held_up

_TOPIC_EVERY_S: Final = 1.0
"""Less than the usual max lag: windows must not close before a further partition is known."""
_SILENCE_EVERY_S: Final = 0.5
"""How often the ends of quiet partitions are asked for: idleness, of 10 s by default, needs several
answers."""
_LOOK_EVERY_S: Final = 0.05
"""How often it is looked for quiet partitions: as often as a turn comes by where nothing happens, and not in
each of the many turns of a busy input."""
_PART_OF_TIMEOUT: Final = 10
"""Or once in such a part of the idle time-out, if that is longer: each question takes a connection."""

log = Log(__name__)


class InputWatch:
    """Of one session; asks about one thing at a time, and never waits."""

    def __init__(
        self,
        settings: RunSettings,
        source: Source,
        asking: ThreadPoolExecutor,
        session: Session,
        topic_id: str,
    ) -> None:
        self._settings = settings
        self._source = source
        self._asking = asking
        self._session = session
        self._topic_id = topic_id
        self._ends: Future[dict[int, int]] | None = None
        self._fresh: Future[Mapping[int, Opening | None]] | None = None
        self._next_topic = monotonic() + _TOPIC_EVERY_S
        self._ends_asked_ms = 0
        self._next_silence = 0.0
        part_s = settings.pipeline.idle_timeout_ms / 1000 / _PART_OF_TIMEOUT
        self._silence_every_s = max(_SILENCE_EVERY_S, part_s)
        self._ending = EndWatch(
            source,
            settings.hold_timeout_ms,
            "no window that the records behind it could change is published",
            asking,
        )
        self._left_out: set[int] = set()
        """Partitions that a bounded run does not read."""

    def look(self) -> None:
        """Ask, and act on answers.

        Raises TopicError when the input is gone, CheckpointError when another has its name, and HeldUp when
        a bounded run has waited long enough.
        """
        if self._settings.until_end and not self._settings.live:
            self._ending.look(self._session.standing)
        else:
            self._look_for_silence()
        if monotonic() >= self._next_topic:
            self._look_at_topic()

    def _look_for_silence(self) -> None:
        if self._ends is None:
            if monotonic() < self._next_silence:
                return
            self._next_silence = monotonic() + _LOOK_EVERY_S
            self._ends_asked_ms = monotonic_ms()
            if silent := self._session.silent(self._ends_asked_ms, _time_of_day_ms()):
                self._ends = self._asking.submit(self._ends_of, silent, self._session.positions)
        elif self._ends.done():
            answer, self._ends = self._ends, None
            self._next_silence = monotonic() + self._silence_every_s
            try:
                ends = answer.result()
            except StreamaggError as error:
                log.debug(
                    "ends_unknown",
                    "no partition is idle while the broker does not answer: {error}",
                    error=error,
                )
                self._session.ends_unknown()
                return
            self._session.confirm_idle(ends, self._ends_asked_ms, _time_of_day_ms())
            for number, at in self._session.held_up(ends, monotonic_ms()).items():
                tell_held_up(number, at, self._source.hidden_by)

    def _ends_of(self, silent: list[int], positions: Mapping[int, int]) -> dict[int, int]:
        """Of a stream that is all that has come: nothing of it is away or hidden."""
        if self._settings.live:
            return {number: positions[number] for number in silent}
        return self._source.log_ends(silent)

    def _look_at_topic(self) -> None:
        if self._fresh is None:
            known = frozenset(self._session.positions) | self._left_out
            self._fresh = self._asking.submit(self._find_fresh, known)
        elif self._fresh.done():
            answer, self._fresh = self._fresh, None
            self._next_topic = monotonic() + _TOPIC_EVERY_S
            try:
                fresh = answer.result()
            except (Unreachable, KafkaFailed) as error:
                # A partition that was just made has no leader yet.
                log.debug("growth_unknown", "whether the input grew is asked again: {error}", error=error)
                return
            for number, opening in fresh.items():
                self._note_fresh(number, opening)

    def _note_fresh(self, number: int, opening: Opening | None) -> None:
        if opening is None:
            self._left_out.add(number)
            log.info(
                "partition_left_out",
                "the input has a further partition: {partition}, which the next run begins with",
                partition=number,
            )
            return
        log.info("partition_added", "the input has a further partition: {partition}", partition=number)
        self._session.add_partition(number, opening, monotonic_ms())

    def _find_fresh(self, known: frozenset[int]) -> Mapping[int, Opening | None]:
        """Partitions that are new; those without an opening are left out by a bounded run."""
        found = self._source.confirm(self._topic_id)
        fresh = [number for number in range(found.partitions) if number not in known]
        if self._settings.until_end:
            return dict.fromkeys(fresh)
        if not fresh:
            return {}
        return openings(self._settings, self._source, "", fresh, {}, EARLIEST, None)


def _time_of_day_ms() -> int:
    return int(time() * 1000)
