"""Sends the records of the demo, minute by minute, and counts them a second time on the way."""

import math
from collections.abc import Iterator
from time import monotonic
from typing import Final

from streamagg.engine.reporting.stats import RunStats
from streamagg.errors import KafkaFailed
from streamagg.kafka.sender import Sender
from streamagg.model.settings import (
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    WindowSettings,
)
from streamagg.tools.generate import CHUNK_RECORDS, GenerateSettings, records
from streamagg.tools.recount import PartitionRecount, Recount
from streamagg.tools.shapes import FIRST_TIME_S

WINDOW: Final = WindowSettings()
DECODE: Final = DecodeSettings(group_by=("country",), measures=(MeasureSettings("bytes", "sum", "bytes"),))
TOP: Final = 5
"""Countries of a minute that are published: a line of them is shown."""
CEILING: Final = CeilingSettings(top=TOP)
MINUTES: Final = 24
"""Two waves of traffic, of twelve minutes each."""
SPEED: Final = 60
"""Seconds of event time in a second of the show."""
RATE: Final = 600
"""Records generated for a second of event time, 36,000 a second of the show: less than a tenth of what two
cores do (REPORT.md). The traffic is at most that."""
MOST_AHEAD: Final = 3
"""Windows sent but not published. The embedded broker keeps 5 MiB of a partition and drops the rest."""
FLUSH_TIMEOUT_S: Final = 20.0
"""For records that the embedded broker, in this process, takes in milliseconds."""
_MINUTE_S: Final = WINDOW.granularity_ms // 1_000


class Feed:
    """Sends what is due; ``recount`` knows what has to be published."""

    def __init__(self, kafka: KafkaSettings, topic: str, partitions: int, minutes: int) -> None:
        self.recount = Recount()
        self.ended = False
        self._sender = Sender(kafka, topic, partitions, compression="lz4")
        self._partitions = [PartitionRecount(WINDOW, DECODE, self.recount) for _ in range(partitions)]
        self._chunks = _chunks(minutes)
        self._next = next(self._chunks, None)

    @property
    def sent(self) -> int:
        """Records sent."""
        return self._sender.stats.records

    @property
    def windows(self) -> int:
        """Windows that the records sent so far fall in."""
        return len(self.recount.windows)

    @property
    def published_records(self) -> int:
        """Records that are published of these windows."""
        return sum(1 + min(TOP, len(window.groups)) for window in self.recount.windows.values())

    def send(self, elapsed_s: float, published_through_ms: int | None) -> None:
        """Send one chunk if it is due and the pipeline follows; raises KafkaFailed."""
        if self._next is None:
            return
        offset_s, chunk = self._next
        if offset_s > elapsed_s * SPEED or self._ahead(offset_s, published_through_ms):
            self._sender.wait(0)
            return
        for record in chunk:
            self._partitions[self.sent % len(self._partitions)].add(record, None)
            self._sender.send(record)
        self._sender.wait(0)
        self._next = next(self._chunks, None)
        if self._next is None:
            self._end()

    def agrees(self, stats: RunStats) -> bool:
        """Whether the run says the same about the records that are in no window."""
        found = (stats.records, stats.counted, stats.late, stats.rejected)
        return found == (self.sent, self.recount.counted, self.recount.late, self.recount.rejected)

    def _end(self) -> None:
        deadline = monotonic() + FLUSH_TIMEOUT_S
        self._sender.finish(lambda: monotonic() < deadline)
        if failed := self._sender.stats.failed:
            raise KafkaFailed(f"The embedded broker did not take {failed} records: the machine is too busy.")
        for partition in self._partitions:
            partition.end()
        self.ended = True

    @staticmethod
    def _ahead(offset_s: float, published_through_ms: int | None) -> bool:
        now_ms = int((FIRST_TIME_S + offset_s) * 1_000)
        through_ms = FIRST_TIME_S * 1_000 if published_through_ms is None else published_through_ms
        return now_ms // WINDOW.granularity_ms - through_ms // WINDOW.granularity_ms > MOST_AHEAD


def _chunks(minutes: int) -> Iterator[tuple[float, list[bytes]]]:
    """Records, and when they happen in seconds of event time after the first, up to the end of a minute."""
    length_s = minutes * _MINUTE_S - FIRST_TIME_S % _MINUTE_S
    settings = GenerateSettings(
        count=length_s * RATE,
        users=30_000,
        rate=RATE,
        size_bytes=200,
        disorder=0.01,
        corrupt=0.001,
        seed=7,
        visits=True,
    )
    for number, chunk in enumerate(records(settings)):
        offset_s = number * CHUNK_RECORDS / RATE
        yield offset_s, chunk[: math.ceil(len(chunk) * _traffic(offset_s))]


def _traffic(offset_s: float) -> float:
    """Share of the generated records that are sent: two slow waves, so that the minutes differ."""
    return 0.65 - 0.35 * math.cos(2 * math.pi * offset_s / (12 * _MINUTE_S))
