"""What a destination of records does."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

RECORD_BYTES: Final = 64
"""What a record takes beside its bytes: the object that holds them, and its place in a list."""


class Body(NamedTuple):
    """The records of one request."""

    records: list[bytes]
    """Each without a line end, inside or behind."""
    key_path: tuple[str, ...] | None = None
    """Where each has the text that decides about its partition."""

    @property
    def size(self) -> int:
        """Bytes of all records, and what each takes beside them."""
        return sum(map(len, self.records)) + RECORD_BYTES * len(self.records)


class NotWritten(Exception):
    """Some of it may be there and some not; the text is a sentence."""


class Destination(Protocol):
    """Used by one thread; every method waits."""

    def write(self, bodies: Sequence[Body]) -> None:
        """Returns when all of them are there for good, whatever ends then. Raises NotWritten."""

    def tidy(self) -> None:
        """Called again and again, whether something comes or not; raises NotWritten while nothing can be."""

    def close(self) -> None:
        """Whatever was written is there for those who read."""
