"""Quix Streams with its own windows and state: one for every partition, united when all have closed.

One key for the whole topic would have one time, and partitions drift apart by minutes of event time
while a backlog is read: the records of one would be late because of another. The last window stays
open, because only a later record of the same key moves its time on.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from job import WINDOW_S, Job
from quixstreams import message_context
from quixstreams.dataframe.windows.aggregations import Collector

GRACE: Final = timedelta(seconds=5)


class Unique(Collector):
    """The different values of a column in a window; they are stored one by one until it closes."""

    def result(self, items: Iterable[str]) -> set[str]:
        """What the closed window hands on."""
        return set(items)


def event_time_ms(record: dict[str, Any], *_: object) -> int:
    """When it happened, in milliseconds since the epoch."""
    return int(record["ts"]) * 1_000


def main() -> None:
    """Count the unique users of every window that all partitions close."""
    job = Job(__doc__)
    closed: defaultdict[int, list[set[str]]] = defaultdict(list)

    def keep(window: dict[str, Any]) -> None:
        closed[window["start"] // 1_000].append(window["users"])

    topic = job.app.topic(job.topic, value_deserializer="json", timestamp_extractor=event_time_ms)
    # Windows belong to a key, and these records have none.
    records = job.app.dataframe(topic)[["uid"]].group_by(
        lambda _: str(message_context().partition), name="partition"
    )
    records.update(job.saw)
    windows = records.tumbling_window(timedelta(seconds=WINDOW_S), grace_ms=GRACE)
    windows.agg(users=Unique("uid")).final().update(keep)
    job.app.run()
    job.write(
        {start: len(set().union(*users)) for start, users in closed.items() if len(users) == job.partitions}
    )


if __name__ == "__main__":
    main()
