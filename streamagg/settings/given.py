"""A value together with where it was written, so that an error can name the place."""

from dataclasses import dataclass

from streamagg.model.places import shown


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written, and where."""

    value: object
    origin: str

    def __str__(self) -> str:
        return f"{shown(str(self.value))} ({self.origin})"
