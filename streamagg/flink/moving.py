"""The counts of a group on their way from a daemon to a job on Flink, and back.

Whoever moves them leads the group meanwhile and shuts out every leader before, as a daemon does. While a job
has them the checkpoint says that they are lent (``core.checkpoint``), so that no daemon goes on with them:
the job publishes in transactions of its own, and the checkpoint would be that of the past.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streamagg import faults
from streamagg.core import checkpoint
from streamagg.core.ballot import SetAside
from streamagg.core.calendars import Calendars
from streamagg.core.checkpoint import Checkpoint, Lent
from streamagg.core.partition_clock import PartitionState
from streamagg.core.period_state import handed_over
from streamagg.core.windows import Windows
from streamagg.errors import CheckpointError, KafkaUnreachable, SettingsError
from streamagg.kafka.admin import end_offsets, has_members, partitions_of
from streamagg.kafka.client import consumer_config
from streamagg.kafka.membership import Membership
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import KafkaSettings, RunSettings, StartAt
from streamagg.sinks.contract import LeaderPublisher, Publication, PublishFailed, State, Stored
from streamagg.sinks.kafka.topic import TopicSink
from streamagg.sources.kafka.topic import TopicSource

_MEMBER_S: Final = 15.0
"""A member that was killed is taken for one for ten seconds."""
_LEAD_S: Final = 30.0
_COMMIT_S: Final = 30.0
_READ_S: Final = 30.0
_LOOK_S: Final = 0.05
_ASK_S: Final = 0.5


class _Aside(msgspec.Struct):
    offset: int
    time_ms: int
    lead: int
    row: bytes = b""
    """Base64; a job reads the record again instead."""


class _Place(msgspec.Struct):
    partition: int
    offset: int
    read_before: int
    clock_ms: int | None
    agreement: int
    began_inside: bool
    partial_through: int | None
    set_aside: list[_Aside]


class _Period(msgspec.Struct):
    calendar: int
    start_ms: int
    users: int
    values: dict[str, int]


class Handed(msgspec.Struct):
    """A checkpoint as the job takes it and gives it: ``Handed`` in Java."""

    published_through: int | None
    partitions: list[_Place]
    periods: list[_Period] = []


def take_over(settings: RunSettings, *, continues: bool) -> Handed | None:
    """Lend the counts of the group to a job; None: the group has none, or the job has its own state.

    ``continues``: it has a savepoint. Raises CheckpointError where windows would be lost or published twice,
    SettingsError, or another StreamaggError.
    """
    group = settings.kafka.group
    _await_alone(settings.kafka)
    if not _stored(settings):
        return None
    _require_continuing(settings)
    with _leading(settings) as seat:
        stored = seat.checkpoints()
        lent = _lent(stored)
        if continues and lent is not None:
            return None
        if continues:
            raise CheckpointError(
                f"the group {group} has a checkpoint of streamagg run, newer than any savepoint: leave "
                "--savepoint out, or use another --group"
            )
        if lent is not None and seat.published_since(lent):
            raise CheckpointError(
                f"a job on Flink has published with the counts of the group {group} already: continue it "
                "with --savepoint"
            )
        known = seat.decoded(stored, lent)
        seat.commit(known, Lent(checkpoint.destination(settings), seat.written()))
        return _handed(known)


def _require_continuing(settings: RunSettings) -> None:
    """Of a group that has counts: a job goes on with them, and leaves something to go on with."""
    if settings.start != StartAt():
        raise SettingsError(f"The group {settings.kafka.group} has counts: start anew with another --group.")
    if settings.until_end:
        raise SettingsError(
            f"--until-end cannot be given where the group {settings.kafka.group} has counts: all of its "
            "windows would be closed, and nobody could go on with them."
        )


def require_lent(settings: RunSettings) -> None:
    """Raises CheckpointError if the counts of the group are not those of a job, or of one that runs."""
    _await_alone(settings.kafka)
    stored = _stored(settings)
    if not stored:
        return
    lent = _lent(stored)
    if lent is None:
        raise CheckpointError(f"the counts of the group {settings.kafka.group} are those of streamagg run")
    if lent.destination != checkpoint.destination(settings):
        raise CheckpointError(
            "the job took over from a daemon with another output, delivery, dead-letter or late topic: give "
            "the same ones"
        )


def give_back(settings: RunSettings, handed: Handed | None) -> None:
    """Let ``streamagg run`` go on with the counts; ``handed``: of the job, None: it has published nothing.

    Raises CheckpointError if it has, or another StreamaggError.
    """
    require_lent(settings)
    with _leading(settings) as seat:
        stored = seat.checkpoints()
        lent = _lent(stored)
        if handed is not None:
            known, state = _checkpoints(handed), _state(settings, handed)
        elif lent is None or seat.published_since(lent):
            raise CheckpointError(
                "the job has published windows: say with --savepoint where its savepoint or last "
                "checkpoint is"
            )
        else:
            known, state = seat.decoded(stored, lent), ()
        seat.commit(known, checkpoint.destination(settings), state)


def _stored(settings: RunSettings) -> Stored:
    """The checkpoints of the group, asked from outside."""
    partitions = range(partitions_of(settings.kafka, settings.input))
    return TopicSink(settings, faults.hook()).checkpoints(partitions)


class _Seat:
    """The leader's: nobody else publishes."""

    def __init__(self, settings: RunSettings, membership: Membership) -> None:
        self._settings = settings
        self._membership = membership
        self._sink = TopicSink(settings, faults.hook())
        self._source = TopicSource(settings.kafka, settings.input)
        self._topic_id = self._source.identity().id

    def checkpoints(self) -> Stored:
        """Those of the group, when all leaders before are shut out."""
        with self._publisher("") as publisher:
            return publisher.checkpoints(range(self._source.partitions()))

    def written(self) -> tuple[int, ...]:
        """By partition of the output, where committed readers find its end."""
        kafka, output = self._settings.kafka, self._settings.output
        return tuple(end_offsets(kafka, output, range(partitions_of(kafka, output)), at="latest").values())

    def published_since(self, lent: Lent) -> bool:
        """There are committed records behind those that there were."""
        output = self._settings.output
        places = [TopicPartition(output, number, begin) for number, begin in enumerate(lent.written)]
        # Ends do not tell: a transaction that was aborted moves them, too.
        return any(_holds_records(self._settings.kafka, place) for place in places)

    def decoded(self, stored: Stored, lent: Lent | None) -> dict[int, Checkpoint]:
        """Raises CheckpointError if they are of other settings, or if the input has lost what they need."""
        window, decode = self._settings.window, self._settings.decode
        own = checkpoint.destination(self._settings)
        signature = self._signature(own if lent is None else Lent(own, lent.written))
        known = {p: checkpoint.decode(*at, signature, window, decode) for p, at in stored.items()}
        begins = self._source.offsets(known, "earliest")
        for partition, at in known.items():
            needed = min([at.state.offset, *(aside.offset for aside in at.state.set_aside)])
            if needed < begins[partition]:
                raise CheckpointError(
                    f"partition {partition} has to be read from offset {needed} on, but retention has "
                    f"removed everything before {begins[partition]}: records are lost. Start anew with "
                    "--from earliest"
                )
        return known

    def commit(self, known: dict[int, Checkpoint], destination: Lent | str, state: State = ()) -> None:
        """Raises a StreamaggError."""
        with self._publisher(destination) as publisher:
            publisher.submit(Publication((), known, state=state))
            try:
                self._await(lambda: publisher.finished() is not None, _COMMIT_S, "take the checkpoint")
            except PublishFailed as error:
                raise KafkaUnreachable(f"Kafka did not take the checkpoint: {error}. Try again.") from error

    @contextmanager
    def _publisher(self, destination: Lent | str) -> Iterator[LeaderPublisher]:
        confirm = lambda: self._source.confirm(self._topic_id)  # noqa: E731
        signature = self._signature(destination)
        publisher = self._sink.publisher(self._membership, signature, confirm, PublisherNumbers())
        try:
            publisher.start(self._gives_up)
            yield publisher
        finally:
            publisher.close(1.0)

    def _signature(self, destination: Lent | str) -> str:
        fingerprint = checkpoint.fingerprint(self._settings.window, self._settings.decode)
        return checkpoint.bound(fingerprint, self._topic_id, str(destination))

    def _gives_up(self) -> bool:
        self._membership.poll()
        return False

    def _await(self, done: Callable[[], bool], patience_s: float, what: str) -> None:
        _await(lambda: not self._gives_up() and done(), patience_s, what)


def _await_alone(kafka: KafkaSettings) -> None:
    """Raises CheckpointError if somebody is in the group, and stays."""
    deadline = monotonic() + _MEMBER_S
    while has_members(kafka, kafka.group):
        if monotonic() > deadline:
            raise CheckpointError(
                f"somebody is at work in the group {kafka.group}: stop all instances of streamagg run, or "
                "the job on Flink, first"
            )
        sleep(_ASK_S)


@contextmanager
def _leading(settings: RunSettings) -> Iterator[_Seat]:
    kafka = settings.kafka
    TopicSink(settings, faults.hook()).make()
    membership = Membership(kafka, kafka.group, settings.input)
    membership.join()
    try:
        _await(lambda: _leads(membership), _LEAD_S, "let anybody into the group")
        yield _Seat(settings, membership)
    finally:
        membership.close()


def _leads(membership: Membership) -> bool:
    membership.poll()
    return membership.leader


def _await(done: Callable[[], bool], patience_s: float, what: str) -> None:
    deadline = monotonic() + patience_s
    while not done():
        if monotonic() > deadline:
            raise KafkaUnreachable(f"Kafka did not {what} within {patience_s:g} s.")
        sleep(_LOOK_S)


def _lent(stored: Stored) -> Lent | None:
    return next(filter(None, (checkpoint.lent(metadata) for _, metadata in stored.values())), None)


def _holds_records(kafka: KafkaSettings, place: TopicPartition) -> bool:
    """There are committed records from a place on."""
    consumer = Consumer(consumer_config(kafka, enable_partition_eof=True))
    deadline = monotonic() + _READ_S
    try:
        consumer.assign([place])
        while monotonic() < deadline:
            for message in consumer.consume(1, _LOOK_S):
                error = message.error()
                if error is None or error.code() == KafkaError._PARTITION_EOF:
                    return error is None
    finally:
        consumer.close()
    raise KafkaUnreachable(f"The topic {place.topic} could not be read within {_READ_S:g} s.")


def _handed(known: dict[int, Checkpoint]) -> Handed:
    through = max((at.closed_through for at in known.values() if at.closed_through is not None), default=None)
    return Handed(through, [_place(number, at) for number, at in known.items()])


def _place(number: int, at: Checkpoint) -> _Place:
    state = at.state
    return _Place(
        number,
        state.offset,
        at.read_before,
        state.clock_ms,
        state.agreement,
        state.began_inside,
        state.partial_through,
        [_Aside(one.offset, one.event_time_ms, one.lead) for one in state.set_aside],
    )


def _checkpoints(handed: Handed) -> dict[int, Checkpoint]:
    return {
        place.partition: Checkpoint(_partition(place), handed.published_through, place.read_before)
        for place in handed.partitions
    }


def _partition(place: _Place) -> PartitionState:
    aside = tuple(
        SetAside(one.offset, one.time_ms, base64.b64decode(one.row), one.lead) for one in place.set_aside
    )
    return PartitionState(
        place.offset, place.clock_ms, aside, place.began_inside, place.partial_through, place.agreement
    )


def _state(settings: RunSettings, handed: Handed) -> tuple[Any, ...]:
    if not settings.window.calendars or handed.published_through is None:
        return ()
    periods = {(one.calendar, one.start_ms): (one.users, one.values) for one in handed.periods}
    until_ms = Windows(settings.window).start_ms(handed.published_through + 1)
    return handed_over(Calendars(settings.window), periods, until_ms)
