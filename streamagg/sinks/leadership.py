"""Which of several instances of a job works: what the engine asks, and how to write one.

Exactly one leads, the others stand by. Who leads decides what all instances of a job share: the consumer
group where the input or else the output is a topic, a lock at the output where neither is. That a leader has
been replaced it may hear late, so this alone does not keep it from publishing: the sink shuts it out
(``contract``).

To write one: a class that ``open.open_leadership`` makes of ``model.settings.RunSettings``. Making it asks
nobody, and nothing that the main loop calls waits: what takes time is done in a thread. While it cannot be
told who leads, because a server is away, say, this instance does not, and the leadership tries again by
itself; ``poll`` raises only what waiting would not help against.
"""

from typing import Protocol

from streamagg.model.measured import ClientNumbers


class Leadership(Protocol):
    """This instance's place among those of its job."""

    @property
    def numbers(self) -> ClientNumbers:
        """What its client meets with."""

    @property
    def rebalances(self) -> int:
        """How often the instances have been dealt out anew."""

    @property
    def leader(self) -> bool:
        """This instance works."""

    @property
    def joined(self) -> bool:
        """The others know this instance."""

    @property
    def assignment_known(self) -> bool:
        """It is known whether this instance works."""

    def refuse_foreign(self) -> None:
        """Raises SettingsError if another program has its place; asked before joining, and may wait."""

    def at_work(self) -> bool:
        """Other instances are there; asked before joining, and may wait. Raises a StreamaggError."""

    def join(self) -> None:
        """Become one of them; called once, before anything that follows."""

    def poll(self) -> None:
        """Find out who leads; called many times a second. Raises a StreamaggError if it cannot be one."""

    def close(self) -> None:
        """Leave the others, so that one of them takes over at once."""


class Alone:
    """There are no others: standard output is this process's own."""

    rebalances = 0
    leader = joined = assignment_known = True

    def __init__(self) -> None:
        self.numbers = ClientNumbers()

    def refuse_foreign(self) -> None:
        """There is nobody."""

    def at_work(self) -> bool:
        """There is nobody."""
        return False

    def join(self) -> None:
        """There is nobody."""

    def poll(self) -> None:
        """There is nobody."""

    def close(self) -> None:
        """There is nobody."""
