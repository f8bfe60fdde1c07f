"""Questions to the cluster about topics, each bounded in time and answered with a clear error."""

from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import Future
from time import monotonic
from typing import Final, Literal, NamedTuple, TypeVar

from confluent_kafka import ConsumerGroupType, IsolationLevel, KafkaError, KafkaException, TopicPartition

# The package marks these names as its own in its documentation, not in its types.
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from streamagg.errors import KafkaUnreachable, SettingsError, StreamaggError, TopicError
from streamagg.events import Log
from streamagg.kafka.client import COOPERATIVE, HOPELESS, Right, admin_config, kafka_error, sentence
from streamagg.kafka.diagnosis import diagnosis, is_refusal
from streamagg.model.settings import KafkaSettings

T = TypeVar("T")
log = Log(__name__)

TIMEOUT_MS: Final = 10_000
"""For one answer. A broker that has just started takes seconds to give it."""
LONGEST_TRANSACTION_MS: Final = 15 * 60_000
"""What brokers allow unless configured otherwise."""
COMPACTED: Final[Mapping[str, str]] = {"cleanup.policy": "compact"}
_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NO_ANSWER: Final = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT)
_NO_LEADER_YET: Final = (
    # "No leaders found", says the client by itself.
    KafkaError._NOENT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.KAFKA_STORAGE_ERROR,
)
"""While a partition moves to another broker."""
_NO_COORDINATOR_YET: Final = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
"""A broker that has just started, or has just lost the group to another one, says so for a moment."""
_NO_GROUP: Final = (KafkaError.GROUP_ID_NOT_FOUND, KafkaError._UNSUPPORTED_FEATURE)
"""The second is the answer of the broker inside librdkafka."""
_SLICE_S: Final = 0.25
"""How often a wait looks at the errors that the client reported meanwhile."""


def partitions_of(kafka: KafkaSettings, topic: str, timeout_ms: int = TIMEOUT_MS) -> int:
    """How many partitions a topic has.

    Raises ``TopicError`` when it does not exist or may not be seen, ``KafkaUnreachable`` when no
    broker answers within the time limit.
    """
    return _Admin(kafka, timeout_ms).existing(topic)


def ensure_topic(
    kafka: KafkaSettings,
    topic: str,
    *,
    partitions: int = 1,
    replicas: int = -1,
    config: Mapping[str, str] = COMPACTED,
    create: bool = True,
    timeout_ms: int = TIMEOUT_MS,
) -> int:
    """Makes sure that a topic exists, and returns how many partitions it has.

    An existing topic is taken as it is. ``replicas`` -1 is the broker's default. Raises
    ``TopicError`` when it is absent and may not or cannot be created, ``KafkaUnreachable`` when no
    broker answers within the time limit.
    """
    admin = _Admin(kafka, timeout_ms)
    found = admin.partitions(topic)
    if found is not None:
        return found
    if not create:
        raise TopicError(f"The topic {topic} does not exist: create it, or run without --no-create-topics.")
    if not admin.create(NewTopic(topic, partitions, replicas, config=dict(config))):
        # Another instance was quicker: its topic is the topic.
        return partitions_of(kafka, topic, timeout_ms)
    log.info(
        "topic_created",
        "created the topic {topic} with {partitions} partition(s)",
        topic=topic,
        partitions=partitions,
    )
    return partitions


def end_offsets(
    kafka: KafkaSettings,
    topic: str,
    partitions: Iterable[int],
    *,
    at: Literal["earliest", "latest"] | int,
    timeout_ms: int = TIMEOUT_MS,
) -> dict[int, int]:
    """Offset by partition, for a ``read_committed`` reader.

    ``earliest``: of the first record kept. ``latest``: after the last committed one. An integer is a
    Kafka timestamp in ms: of the first record that late, or the latest where there is none.
    """
    admin = _Admin(kafka, timeout_ms)
    if at == "latest":
        return admin.offsets(topic, partitions, _LATEST)
    if at == "earliest":
        return admin.offsets(topic, partitions, _EARLIEST)
    found = admin.offsets(topic, partitions, OffsetSpec.for_timestamp(at))
    beyond = [partition for partition, offset in found.items() if offset < 0]
    return found | (admin.offsets(topic, beyond, _LATEST) if beyond else {})


def log_ends(
    kafka: KafkaSettings, topic: str, partitions: Iterable[int], *, timeout_ms: int = TIMEOUT_MS
) -> dict[int, int]:
    """Offset behind the last record of each partition, committed or not.

    A ``read_committed`` reader does not get there while a transaction is open.
    """
    return _Admin(kafka, timeout_ms).offsets(topic, partitions, _LATEST, IsolationLevel.READ_UNCOMMITTED)


class Reach(NamedTuple):
    """How far a partition can be read."""

    committed: int
    """Where a ``read_committed`` reader finds the end."""
    end: int
    """Behind the last record, committed or not."""


def reaches(
    kafka: KafkaSettings, topic: str, partitions: Iterable[int], *, timeout_ms: int = TIMEOUT_MS
) -> dict[int, Reach | None]:
    """How far each partition can be read; None for one that has no leader."""
    admin = _Admin(kafka, timeout_ms)
    led = admin.led(topic)
    wanted = list(partitions)
    there = [number for number in wanted if number in led]
    # In this order: what is written in between makes no partition look as if it could not be read.
    ends = admin.offsets(topic, there, _LATEST, IsolationLevel.READ_UNCOMMITTED) if there else {}
    committed = admin.offsets(topic, there, _LATEST) if there else {}
    return {n: Reach(committed[n], ends[n]) if n in ends else None for n in wanted}


def transaction_timeout_ms(kafka: KafkaSettings, topic: str, *, timeout_ms: int = TIMEOUT_MS) -> int:
    """How long a transaction may be open, as a broker of a topic says: by default where it does not."""
    try:
        found = _Admin(kafka, timeout_ms).broker_setting(topic, "transaction.max.timeout.ms")
    except StreamaggError:
        # It takes a right that nothing else needs: to see the settings of the cluster.
        found = None
    return int(found or LONGEST_TRANSACTION_MS)


def topic_setting(kafka: KafkaSettings, topic: str, name: str, *, timeout_ms: int = TIMEOUT_MS) -> str | None:
    """A setting of a topic; None if the broker has none of that name.

    Raises as ``partitions_of`` does.
    """
    admin = _Admin(kafka, timeout_ms)
    admin.existing(topic)
    return admin.topic_setting(topic, name)


def unended(kafka: KafkaSettings, topic: str, *, timeout_ms: int = TIMEOUT_MS) -> list[int]:
    """Partitions that a committed reader cannot read to their end: a transaction is open there.

    Raises as ``partitions_of`` does.
    """
    admin = _Admin(kafka, timeout_ms)
    numbers = range(admin.existing(topic))
    # In this order: what is written in between makes no partition look unended.
    ends = admin.offsets(topic, numbers, _LATEST, IsolationLevel.READ_UNCOMMITTED)
    committed = admin.offsets(topic, numbers, _LATEST)
    return [number for number in numbers if committed[number] < ends[number]]


def has_members(kafka: KafkaSettings, group: str, timeout_ms: int = TIMEOUT_MS) -> bool:
    """Whether somebody is in a consumer group, or was killed so recently that the group still waits for it.

    Raises KafkaUnreachable or KafkaFailed.
    """
    return bool(_Admin(kafka, timeout_ms).group(group).members)


def refuse_foreign(kafka: KafkaSettings, group: str, timeout_ms: int = TIMEOUT_MS) -> None:
    """Raises SettingsError for an active group whose members assign partitions in a way that ours never do.

    With the consumer protocol the broker would let an instance in: it turns the group to that protocol.
    """
    found = _Admin(kafka, timeout_ms).group(group)
    if found.type != ConsumerGroupType.CONSUMER and found.assignor not in ("", COOPERATIVE):
        raise foreign(group)


def foreign(group: str) -> SettingsError:
    """The error for a group that belongs to another program."""
    return SettingsError(
        f"The group {group} belongs to another program, whose members share partitions out in another way: "
        "choose another --group, or stop that program."
    )


class _Trouble:
    """The last connection error that a client reported.

    Kept apart from ``_Admin``: a client that is part of a cycle of references keeps its threads and sockets
    until a garbage collection finds it.
    """

    def __init__(self) -> None:
        self.error: KafkaError | None = None

    def remember(self, error: KafkaError) -> None:
        """Keep it, unless it only follows the error that says why: "all brokers are down"."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self.error is None:
            self.error = error


class _Group(NamedTuple):
    """A consumer group as a broker describes it."""

    members: int
    assignor: str
    """Of a group at work."""
    type: ConsumerGroupType


class _Admin:
    """One admin client."""

    def __init__(self, kafka: KafkaSettings, timeout_ms: int) -> None:
        self._kafka = kafka
        self._deadline = monotonic() + timeout_ms / 1_000
        self._trouble = _Trouble()
        try:
            self._client = AdminClient(admin_config(kafka, on_error=self._trouble.remember))
        except KafkaException as exc:
            raise kafka_error(exc, "Setting up the Kafka client") from exc

    def partitions(self, topic: str) -> int | None:
        """Partitions of a topic, None when it does not exist."""
        found = self._metadata(topic).topics[topic]
        if found.error is None:
            return len(found.partitions)
        if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise kafka_error(found.error, f"Looking up the topic {topic}", Right("DESCRIBE", "topic", topic))

    def existing(self, topic: str) -> int:
        """Partitions of a topic; raises TopicError when it does not exist."""
        found = self.partitions(topic)
        if found is None:
            where = self._kafka.bootstrap_servers
            raise TopicError(f"The topic {topic} does not exist at {where}: create it, or correct its name.")
        return found

    def led(self, topic: str) -> set[int]:
        """Partitions that have a leader; raises TopicError when the topic does not exist."""
        self.existing(topic)
        found = self._metadata(topic).topics[topic].partitions.values()
        return {partition.id for partition in found if partition.leader >= 0}

    def broker_setting(self, topic: str, name: str) -> str | None:
        """A setting of a broker that knows the topic; None if it has none of that name."""
        resource = ConfigResource(ResourceType.BROKER, str(min(self._metadata(topic).brokers)))
        try:
            return self._setting(resource, name)
        except KafkaException as exc:
            raise self._failed(exc, "Looking up a setting of the broker") from exc

    def topic_setting(self, topic: str, name: str) -> str | None:
        """A setting of a topic; None if it has none of that name."""
        try:
            return self._setting(ConfigResource(ResourceType.TOPIC, topic), name)
        except KafkaException as exc:
            need = Right("DESCRIBE_CONFIGS", "topic", topic)
            raise self._failed(exc, f"Looking up the settings of the topic {topic}", need) from exc

    def _setting(self, of: ConfigResource, name: str) -> str | None:
        found = self._answer(self._client.describe_configs([of], request_timeout=self._left_s())[of])
        return found[name].value if name in found else None

    def create(self, topic: NewTopic) -> bool:
        """Creates a topic; False when it exists."""
        future = self._client.create_topics([topic], request_timeout=self._left_s())[topic.topic]
        try:
            self._answer(future)
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            need = Right("CREATE", "topic", topic.topic)
            raise self._failed(exc, f"Creating the topic {topic.topic}", need) from exc
        return True

    def offsets(
        self,
        topic: str,
        partitions: Iterable[int],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[int, int]:
        """Offset by partition; negative where the spec finds none."""
        places = {TopicPartition(topic, partition): spec for partition in partitions}

        def ask() -> dict[int, int]:
            futures = self._client.list_offsets(
                places, isolation_level=isolation, request_timeout=self._left_s()
            )
            return {place.partition: self._answer(future).offset for place, future in futures.items()}

        need = Right("DESCRIBE", "topic", topic)
        return self._asked(ask, _NO_LEADER_YET, f"Looking up offsets of the topic {topic}", need)

    def group(self, group: str) -> _Group:
        """What a consumer group is; one that does not exist has no members."""

        def ask() -> _Group:
            future = self._client.describe_consumer_groups([group], request_timeout=self._left_s())[group]
            try:
                found = self._answer(future)
            except KafkaException as exc:
                if exc.args[0].code() in _NO_GROUP:
                    return _Group(0, "", ConsumerGroupType.UNKNOWN)
                raise
            return _Group(len(found.members), found.partition_assignor, found.type)

        # Less would do here, but not for the membership that follows.
        need = Right("READ", "group", group)
        return self._asked(ask, _NO_COORDINATOR_YET, f"Looking up the consumer group {group}", need)

    def _asked(self, ask: Callable[[], T], passing: Container[int], doing: str, need: Right) -> T:
        """The answer; asks again while nobody can give it yet."""
        while True:
            try:
                return ask()
            except KafkaException as exc:
                if exc.args[0].code() not in passing:
                    raise self._failed(exc, doing, need) from exc
            self._give_up_in_time()
            self._client.poll(_SLICE_S)

    def _metadata(self, topic: str) -> ClusterMetadata:
        """Brokers, and what they say about a topic."""
        while True:
            try:
                return self._client.list_topics(topic, timeout=min(_SLICE_S, self._left_s()))
            except KafkaException as exc:
                if exc.args[0].code() not in _NO_ANSWER:
                    need = Right("DESCRIBE", "topic", topic)
                    raise kafka_error(exc, f"Looking up the topic {topic}", need) from exc
            self._give_up_in_time()

    def _answer(self, future: Future[T]) -> T:
        """The result of a request, or the exception it ended with, within the time limit."""
        while not future.done():
            self._give_up_in_time()
            self._client.poll(_SLICE_S / 10)
        return future.result()

    def _give_up_in_time(self) -> None:
        """Raises ``KafkaUnreachable`` when the time is over, or when waiting cannot help."""
        self._client.poll(0)
        trouble = self._trouble.error
        if trouble is not None and (trouble.code() in HOPELESS or is_refusal(trouble.str())):
            raise self._unreachable()
        if monotonic() > self._deadline:
            raise self._unreachable()

    def _left_s(self) -> float:
        # Never 0, which some calls take for "for ever".
        return max(0.01, self._deadline - monotonic())

    def _failed(self, exc: KafkaException, doing: str, *needs: Right) -> StreamaggError:
        return self._unreachable() if exc.args[0].code() in _NO_ANSWER else kafka_error(exc, doing, *needs)

    def _unreachable(self) -> KafkaUnreachable:
        trouble = None if self._trouble.error is None else sentence(self._trouble.error)
        why = diagnosis(self._kafka, trouble) or trouble or "no answer in time"
        return KafkaUnreachable(
            f"Kafka at {self._kafka.bootstrap_servers} cannot be used: {why}."
            " Check --bootstrap-servers, the network and the security settings (-X)."
        )
