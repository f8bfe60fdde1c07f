"""What a job on Flink cannot keep is said before it begins."""

from typing import Final

from streamagg.errors import SettingsError
from streamagg.model.settings import RunSettings

CLIENT_SETTINGS: Final = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.endpoint.identification.algorithm",
        "client.id",
    }
)
"""Settings of librdkafka that the job hands on to Kafka's Java client."""
_MOST_CHECKPOINT_MS: Final = 300_000


def check(settings: RunSettings, checkpoint_ms: int) -> None:
    """Raises SettingsError."""
    for name, value in _not_there(settings).items():
        if value:
            raise SettingsError(f"A job on Flink has no {name} yet: leave it out, or use streamagg run.")
    unknown = sorted(settings.kafka.client.keys() - CLIENT_SETTINGS)
    if unknown:
        raise SettingsError(
            f"A job on Flink cannot hand the client setting {unknown[0]} on to Kafka's Java client:"
            f" leave it out; it knows {', '.join(sorted(CLIENT_SETTINGS))}."
        )
    if checkpoint_ms > _MOST_CHECKPOINT_MS:
        raise SettingsError(
            "checkpoint_interval must be at most 5 minutes: a transaction lasts from one checkpoint to the"
            " next, and brokers end those that are older than 15 minutes."
        )


def _not_there(settings: RunSettings) -> dict[str, bool]:
    """By what it is called: whether the settings ask for it."""
    return {
        "running figures (--running)": settings.running is not None,
        "sketches (--sketches)": settings.sketches is not None,
        "approximate counts (--above-max-users approximate)": settings.ceiling.above == "approximate",
    }
