"""What requests come to: how many they were and how long they took, by route and class of status."""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, Literal, get_args

from streamagg.http.numbers import SharedNumbers
from streamagg.model.measured import Distribution

CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")
SECONDS_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From an answer without any waiting to one that waits for Kafka to come back."""
Refusal = Literal["crowded", "handshake", "head", "malformed", "slow", "unread"]
REFUSALS: Final[tuple[Refusal, ...]] = get_args(Refusal)
"""Connections that were ended: there are too many; TLS failed or took too long; the head is too large; it is
not HTTP; the request did not come in time; the answer is not taken."""
OTHER: Final = "other"
"""Stands for all paths that there are not."""


def keys(routes: Sequence[str]) -> list[Hashable]:
    """Of the numbers that a ``Meter`` needs."""
    found: list[Hashable] = ["connections", "body_bytes", *(("refused", reason) for reason in REFUSALS)]
    for route in (*routes, OTHER):
        for kind in CLASSES:
            found += [(route, kind, bucket) for bucket in range(len(SECONDS_BOUNDS) + 1)]
            found.append((route, kind, "seconds"))
    return found


class Meter:
    """Adds to the numbers, and reads them."""

    def __init__(self, numbers: SharedNumbers, routes: Sequence[str]) -> None:
        self._numbers = numbers
        self._routes = (*routes, OTHER)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request has its answer."""
        kind = CLASSES[status // 100 - 2]
        self._numbers.add((route, kind, bisect_left(SECONDS_BOUNDS, seconds)))
        self._numbers.add((route, kind, "seconds"), seconds)

    def received(self, size: int) -> None:
        """So many bytes of a body have come."""
        self._numbers.add("body_bytes", size)

    def refused(self, reason: Refusal) -> None:
        """A connection was ended."""
        self._numbers.add(("refused", reason))

    def connected(self, connections: int) -> None:
        """How many connections this process has."""
        self._numbers.set("connections", connections)

    @property
    def connections(self) -> float:
        """Open ones."""
        return self._numbers.total("connections")

    @property
    def body_bytes(self) -> float:
        """Of all bodies, as they came."""
        return self._numbers.total("body_bytes")

    def refusals(self) -> Iterator[tuple[Refusal, float]]:
        """Ended connections by reason."""
        return ((reason, self._numbers.total(("refused", reason))) for reason in REFUSALS)

    def seconds(self) -> Iterator[tuple[str, str, Distribution]]:
        """Of requests, by route and class of status, where there were any."""
        for route in self._routes:
            for kind in CLASSES:
                counts = [
                    int(self._numbers.total((route, kind, bucket)))
                    for bucket in range(len(SECONDS_BOUNDS) + 1)
                ]
                if any(counts):
                    yield route, kind, Distribution(counts, self._numbers.total((route, kind, "seconds")))
