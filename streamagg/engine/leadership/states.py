"""What an instance is at, and what comes next: drawn in docs/design.md, which a test holds against this.

An error that is none of these events ends the run, whatever the state.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """What an instance is doing."""

    STANDING_BY = "standing by"
    FENCING = "fencing"
    OPENING = "opening"
    WORKING = "working"
    COMMITTING = "committing"
    WAITING = "waiting"
    ENDED = "ended"


class Event(Enum):
    """What has become of it."""

    ELECTED = "elected"
    FENCED = "fenced"
    OPENED = "opened"
    FINISHED = "finished"
    COMMITTED = "committed"
    DEPOSED = "deposed"
    BROKE = "broke"
    BROKER_LOST = "broker lost"
    WAITED = "waited"
    STOPPED = "stopped"


NEXT: Final[Mapping[State, Mapping[Event, State]]] = {
    State.STANDING_BY: {
        Event.ELECTED: State.FENCING,
        Event.STOPPED: State.ENDED,
    },
    State.FENCING: {
        Event.FENCED: State.OPENING,
        Event.DEPOSED: State.STANDING_BY,
        Event.BROKE: State.STANDING_BY,
        Event.BROKER_LOST: State.WAITING,
        Event.STOPPED: State.ENDED,
    },
    State.OPENING: {
        Event.OPENED: State.WORKING,
        Event.BROKE: State.STANDING_BY,
        Event.BROKER_LOST: State.WAITING,
    },
    State.WORKING: {
        Event.FINISHED: State.ENDED,
        Event.DEPOSED: State.STANDING_BY,
        Event.BROKE: State.STANDING_BY,
        Event.BROKER_LOST: State.WAITING,
        Event.STOPPED: State.COMMITTING,
    },
    State.COMMITTING: {
        Event.COMMITTED: State.ENDED,
        Event.BROKE: State.STANDING_BY,
        Event.BROKER_LOST: State.WAITING,
    },
    State.WAITING: {
        Event.WAITED: State.STANDING_BY,
        Event.STOPPED: State.ENDED,
    },
    State.ENDED: {},
}

LEADING: Final = frozenset(state for state, after in NEXT.items() if Event.BROKE in after)
"""With a publisher; leaving these gives it up."""
