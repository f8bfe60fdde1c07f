"""What open periods hold, on its way from shards to the state topic and back."""

import msgspec


class Gained(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an open period of a calendar holds in parts: what windows added to it."""

    calendar: int
    """See ``core.calendars.Calendars``."""
    start_ms: int
    values: list[bytes]
    """Each small enough to be a record; they mean something in this order, and to ``core.periods`` alone."""
    users: int = 0
    """How many users were new to the period, as long as all of them are kept."""
    groups: int = 0
    """How many groups the period has in this shard so far."""
