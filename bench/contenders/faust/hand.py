"""Faust as a consumer only: a set of users for every minute, kept by hand."""

from collections import defaultdict
from typing import Any

from faust.types import StreamT
from job import WINDOW_S, Job

job = Job(__doc__)
users: defaultdict[int, set[str]] = defaultdict(set)


@job.app.agent(job.app.topic(job.topic, value_serializer="json"))
async def count(records: StreamT[dict[str, Any]]) -> None:
    """Count the unique users of every minute in plain sets."""
    async for record in records:
        users[record["ts"] // WINDOW_S].add(record["uid"])
        if job.saw():
            job.finish({minute * WINDOW_S: len(unique) for minute, unique in users.items()})


if __name__ == "__main__":
    job.run()
