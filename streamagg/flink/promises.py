"""What a job on Flink cannot keep is said before it begins."""

from typing import Final

from streamagg.errors import SettingsError
from streamagg.flink.clients import java_settings
from streamagg.model.settings import RunSettings

_MOST_CHECKPOINT_MS: Final = 300_000


def check(settings: RunSettings, checkpoint_ms: int) -> None:
    """Raises SettingsError."""
    for name, value in _not_there(settings).items():
        if value:
            raise SettingsError(f"A job on Flink has no {name} yet: leave it out, or use streamagg run.")
    java_settings(settings.kafka.client)
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
