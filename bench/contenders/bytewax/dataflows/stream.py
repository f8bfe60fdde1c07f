"""What the three dataflows share: the source, event time, windows, and where results go.

Like the examples of Bytewax they are configured through environment variables.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bytewax import operators as op
from bytewax.connectors.files import FileSink
from bytewax.connectors.kafka import KafkaSource
from bytewax.operators import KeyedStream
from bytewax.operators.windowing import EventClock, TumblingWindower

WINDOW: Final = timedelta(minutes=1)
WINDOWER: Final = TumblingWindower(length=WINDOW, align_to=datetime.fromtimestamp(0, UTC))
LATEST: Final = timedelta(seconds=5)
"""How far a record may be behind the records before it."""
CLIENT: Final = {
    "fetch.queue.backoff.ms": "5",
    "queued.max.messages.kbytes": "16384",
    "fetch.message.max.bytes": str(4 << 20),
}


Message = Any
"""A ``KafkaSourceMessage``: the source raises errors instead of passing them on."""


class TimedSource(KafkaSource):
    """A Kafka source that ends at the end of the topic and notes when it begins to fetch."""

    def __init__(self) -> None:
        brokers = [os.environ["BOOTSTRAP_SERVERS"]]
        super().__init__(brokers, [os.environ["TOPIC"]], tail=False, add_config=CLIENT)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Any:
        """Called where the partition is read, just before that begins."""
        (Path(os.environ["SCRATCH"]) / f"began-{for_part}").write_text(str(time.time()))
        return super().build_part(step_id, for_part, resume_state)


def clock() -> EventClock[Any]:
    """Event time of values that begin with it, in seconds, as it is defined by the records alone.

    By itself the clock of Bytewax also goes on with the time of day: a pause of a second or two while a
    backlog is read would make records late.
    """
    standing_still = datetime.now(UTC)
    return EventClock(
        ts_getter=event_time,
        wait_for_system_duration=LATEST,
        now_getter=lambda: standing_still,
        to_system_utc=lambda _: None,
    )


def event_time(value: tuple[int, Any]) -> datetime:
    """When a value happened."""
    return datetime.fromtimestamp(value[0], UTC)


def publish(counts: KeyedStream[tuple[int, int]]) -> None:
    """Write the counts of windows; the later one of a window replaces the earlier one."""
    write(op.map_value("as rows", counts, lambda counted: row(counted[0], cnt=counted[1])))


def row(window: int, **said: Any) -> dict[str, Any]:
    """What is said of a window, with its start."""
    return {"ts": window * int(WINDOW.total_seconds()), **said}


def write(rows: KeyedStream[dict[str, Any]]) -> None:
    """Write rows, each with the time at which that was."""
    lines = op.map_value("as json", rows, lambda row: json.dumps({**row, "at": time.time()}))
    op.output("publish", lines, FileSink(Path(os.environ["SCRATCH"]) / "windows"))
