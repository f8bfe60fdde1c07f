"""The topic of what periods come to so far: compacted, for each value is replaced by the next one."""

from collections.abc import Mapping
from typing import Final

from streamagg.errors import TopicError
from streamagg.kafka.admin import COMPACTED, ensure_topic, topic_setting
from streamagg.model.settings import KafkaSettings, RunSettings

_CONFIG: Final[Mapping[str, str]] = {
    **COMPACTED,
    # The segment that is written to is never compacted, and all that is in it is read by whoever begins.
    "segment.bytes": str(64 << 20),
}
_POLICY: Final = "cleanup.policy"


def make_running_topic(settings: RunSettings, topic: str) -> None:
    """It is there from now on, and compacted; raises TopicError."""
    ensure_topic(
        settings.kafka,
        topic,
        partitions=settings.output_partitions,
        replicas=settings.output_replicas,
        config=_CONFIG,
        create=settings.create_topics,
    )
    require_running_topic(settings.kafka, topic)


def require_running_topic(kafka: KafkaSettings, topic: str) -> None:
    """Raises TopicError if it keeps every value instead of the last one of each key."""
    policy = topic_setting(kafka, topic, _POLICY)
    if COMPACTED[_POLICY] not in (policy or ""):
        raise TopicError(
            f"The running topic {topic} has {_POLICY}={policy}, which does not keep the last value of each"
            " key, and that alone: set it to compact."
        )
