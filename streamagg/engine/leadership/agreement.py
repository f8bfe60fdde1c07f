"""Whether this instance would do what its group does, found out without taking the lead.

Asked before it joins, while it stands by, and before it leads. One that differs would otherwise take the
lead, refuse, and leave the others out for as long as the group needs to find the next leader, at each of
its starts; or it would publish elsewhere.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, Final

from streamagg.core import checkpoint
from streamagg.errors import CheckpointError, StreamaggError
from streamagg.events import Log
from streamagg.model.settings import RunSettings, StartAt
from streamagg.sinks.contract import Sink, Stored
from streamagg.sinks.leadership import Leadership
from streamagg.sources.contract import Ask, Source

_STANDBY_EVERY_S: Final = 10.0
"""A standby compares its settings with the checkpoint about as often as a group notices a dead leader: a
difference has to be seen before it takes over."""

log = Log(__name__)


class Agreement:
    """Of one instance with the checkpoints of its group."""

    def __init__(
        self,
        settings: RunSettings,
        source: Source,
        sink: Sink[Any],
        leadership: Leadership,
        found: Mapping[int, tuple[int, str]],
        *,
        alone: bool,
    ) -> None:
        """``found``: the checkpoints before this instance began; ``alone``: there was no other then."""
        self.source = source
        self.sink = sink
        self.leadership = leadership
        self._settings = settings
        self._found = found
        self._alone = alone
        self._asked: Future[str] | None = None
        self._next_ask = 0.0

    def require(self) -> str:
        """The id of the input. Raises CheckpointError if the group does something else than this instance."""
        topic = self.source.identity()
        committed = stored(self.source, self.sink.checkpoints)
        begin(self.source, self.start(committed))
        if self.start(committed) == StartAt():
            signature = self.signature(topic.id, committed)
            for offset, metadata in committed.values():
                checkpoint.decode(offset, metadata, signature, self._settings.window, self._settings.decode)
        return topic.id

    def look(self, asking: ThreadPoolExecutor) -> None:
        """The same for a standby, every few seconds and without waiting for the answer."""
        if self._asked is None:
            if monotonic() >= self._next_ask:
                self._asked = asking.submit(self.require)
        elif self._asked.done():
            answer, self._asked = self._asked, None
            self._next_ask = monotonic() + _STANDBY_EVERY_S
            try:
                answer.result()
            except CheckpointError:
                raise
            except StreamaggError as error:
                log.debug("group_unknown", "the group's checkpoint is asked for again: {error}", error=error)

    def start(self, committed: Mapping[int, tuple[int, str]]) -> StartAt:
        """Where a session begins that finds these checkpoints."""
        return self._settings.start if self._holds(committed) else StartAt()

    def signature(self, topic_id: str, committed: Mapping[int, tuple[int, str]]) -> str:
        """What these checkpoints have to be signed with."""
        if self._settings.change_destination and self._holds(committed):
            return checkpoint.bound(self._fingerprint(), topic_id)
        return self.own_signature(topic_id)

    def own_signature(self, topic_id: str) -> str:
        """What this instance signs its checkpoints with."""
        return checkpoint.bound(self._fingerprint(), topic_id, checkpoint.destination(self._settings))

    def _fingerprint(self) -> str:
        return checkpoint.fingerprint(self._settings.window, self._settings.decode)

    def _holds(self, committed: Mapping[int, tuple[int, str]]) -> bool:
        """--from and --change-destination hold: nobody has committed anything since this one was started."""
        return self._alone and committed == self._found


def agree(settings: RunSettings, source: Source, sink: Sink[Any], leadership: Leadership) -> Agreement:
    """Raises CheckpointError if this instance would do something else than its group, or a StreamaggError."""
    leadership.refuse_foreign()
    # In this order: what is committed in between is not taken for what was found.
    found = stored(source, sink.checkpoints)
    alone = _may_differ(settings, leadership)
    agreement = Agreement(settings, source, sink, leadership, found, alone=alone)
    agreement.require()
    return agreement


def stored(source: Source, ask: Ask) -> Stored:
    """The checkpoints to go on from; what can be read only once is not gone on with."""
    if source.marks is not None:
        return source.marks.recall(ask)
    return ask(range(source.partitions())) if source.repeatable else {}


def begin(source: Source, start: StartAt) -> None:
    """What was recalled of the source holds, or is forgotten."""
    if source.marks is not None and start != StartAt():
        source.marks.forget()


def _may_differ(settings: RunSettings, leadership: Leadership) -> bool:
    """What this instance was told to begin differently is for a group without members."""
    if settings.start == StartAt() and not settings.change_destination:
        return False
    if not leadership.at_work():
        return True
    if settings.start != StartAt():
        log.warning(
            "group_at_work",
            "the group {group} is at work: its counts are continued, whatever --from says",
            group=settings.kafka.group,
        )
    return False
