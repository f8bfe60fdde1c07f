"""A clock that stands until a test moves it."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds
