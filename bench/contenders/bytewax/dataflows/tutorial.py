"""The form of the tutorials: one key for everything, so one watermark for all partitions."""

from datetime import timedelta
from operator import or_

import orjson
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing as win
from stream import LATEST, WINDOWER, Message, TimedSource, event_time, publish

WAIT = LATEST + timedelta(seconds=1)


def decode(message: Message) -> tuple[int, str]:
    """Event time and user."""
    record = orjson.loads(message.value)
    return record["ts"], record["uid"]


def add(users: set[str], visit: tuple[int, str]) -> set[str]:
    """The users of a window with one more."""
    users.add(visit[1])
    return users


flow = Dataflow("tutorial")
messages = op.input("read", flow, TimedSource())
visits = op.key_on("one key", op.map("decode", messages, decode), lambda _: "all")
clock = win.EventClock(event_time, WAIT)
windows = win.fold_window("users", visits, clock, WINDOWER, set[str], add, or_)
publish(op.map_value("count", windows.down, lambda window: (window[0], len(window[1]))))
