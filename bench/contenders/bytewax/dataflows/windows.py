"""Windows of Bytewax with a watermark for every partition, united when they are closed."""

from operator import or_

import orjson
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing as win
from stream import WINDOWER, Message, TimedSource, clock, publish
from union import union


def decode(message: Message) -> tuple[str, tuple[int, str]]:
    """Event time and user, by partition."""
    record = orjson.loads(message.value)
    return str(message.partition), (record["ts"], record["uid"])


def add(users: set[str], visit: tuple[int, str]) -> set[str]:
    """The users of a window with one more."""
    users.add(visit[1])
    return users


source = TimedSource()
flow = Dataflow("windows")
visits = op.map("decode", op.input("read", flow, source), decode)
windows = win.fold_window("users", visits, clock(), WINDOWER, set[str], add, or_, ordered=False)
publish(union(windows.down, len(source.list_parts())))
