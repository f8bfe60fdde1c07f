"""Whole batches are folded by hand before Bytewax sees them; its windows hold sets, not records."""

from collections import defaultdict
from operator import or_

import orjson
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing as win
from stream import WINDOW, WINDOWER, Message, TimedSource, clock, publish
from union import union

WINDOW_S = int(WINDOW.total_seconds())
Visits = tuple[int, set[str]]
"""Users of one window in a batch, behind the latest event time among them."""


def fold(batch: list[Message]) -> list[tuple[str, Visits]]:
    """The visits of a batch by partition; a batch may hold several partitions and windows."""
    users: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    latest: dict[tuple[int, int], int] = {}
    for message in batch:
        record = orjson.loads(message.value)
        seconds = record["ts"]
        place = message.partition, seconds // WINDOW_S
        users[place].add(record["uid"])
        if seconds > latest.get(place, -1):
            latest[place] = seconds
    return [(str(place[0]), (latest[place], unique)) for place, unique in sorted(users.items())]


def add(users: set[str], visits: Visits) -> set[str]:
    """The users of a window with those of one more batch."""
    users |= visits[1]
    return users


source = TimedSource()
flow = Dataflow("folded")
visits = op.flat_map_batch("fold", op.input("read", flow, source), fold)
windows = win.fold_window("users", visits, clock(), WINDOWER, set[str], add, or_, ordered=False)
publish(union(windows.down, len(source.list_parts())))
