"""How far a bounded run has come."""

from enum import Enum


class Stage(Enum):
    """What is still missing; see "The end of a bounded run" in docs/design.md."""

    READING = "something is leased, or the aggregators have too much before them to go on"
    CLOSING = "windows are open that shall be closed"
    PUBLISHING = "closed windows are not published"
    COMMITTING = "the committed checkpoint is not where reading has come to"
    FINISHED = "nothing"
