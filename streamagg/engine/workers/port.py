"""Where the coordinator puts messages for a worker."""

from typing import Protocol

from streamagg.model.messages import AnyMessage


class Port(Protocol):
    """Where messages to a worker go."""

    def post(self, message: AnyMessage) -> None:
        """Send without waiting."""

    @property
    def backlog_bytes(self) -> int:
        """What the worker has not taken yet."""
