"""As ``folded``, by page too: users, records, a sum and a maximum."""

from typing import Any

import orjson
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing as win
from stream import WINDOW, WINDOWER, Message, TimedSource, clock, row, write

WINDOW_S = int(WINDOW.total_seconds())
Pages = dict[str, list[Any]]
"""Users, number of records, sum of ``bytes`` and most ``latency_ms`` by page."""
Partial = tuple[int, Pages]
"""How many partitions have closed a window, and its pages."""


def fold(batch: list[Message]) -> list[tuple[str, tuple[int, Pages]]]:
    """The pages of a batch by partition and window, behind the latest event time among them."""
    windows: dict[tuple[int, int], Pages] = {}
    latest: dict[tuple[int, int], int] = {}
    for message in batch:
        record = orjson.loads(message.value)
        place = message.partition, record["ts"] // WINDOW_S
        latest[place] = max(record["ts"], latest.get(place, 0))
        seen = {record["page"]["path"]: [{record["uid"]}, 1, record["bytes"], record["latency_ms"]]}
        windows[place] = merge(windows.get(place, {}), seen)
    return [(str(place[0]), (latest[place], pages)) for place, pages in sorted(windows.items())]


def merge(pages: Pages, more: Pages) -> Pages:
    """The first with what is in the second."""
    for page, figures in more.items():
        known = pages.setdefault(page, figures)
        if known is not figures:
            known[0] |= figures[0]
            known[1] += figures[1]
            known[2] += figures[2]
            known[3] = max(known[3], figures[3])
    return pages


def unite(partial: Partial | None, closing: tuple[int, Pages]) -> tuple[Partial | None, list[dict[str, Any]]]:
    """The rows of a window when the last partition has closed it."""
    window, closed = closing
    seen, pages = partial or (0, {})
    pages = merge(pages, closed)
    if seen + 1 < PARTITIONS:
        return (seen + 1, pages), []
    return None, [
        row(window, page=page, cnt=len(users), records=records, bytes=size, slowest=slowest)
        for page, (users, records, size, slowest) in pages.items()
    ]


source = TimedSource()
PARTITIONS = len(source.list_parts())
flow = Dataflow("grouped")
visits = op.flat_map_batch("fold", op.input("read", flow, source), fold)
windows = win.fold_window(
    "pages",
    visits,
    clock(),
    WINDOWER,
    dict,
    lambda pages, visit: merge(pages, visit[1]),
    merge,
    ordered=False,
)
by_window = op.map("by window", windows.down, lambda item: (str(item[1][0]), item[1]))
write(op.stateful_flat_map("union", by_window, unite))
