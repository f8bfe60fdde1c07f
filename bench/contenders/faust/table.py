"""Faust with a windowed table of sets, kept in memory and in its changelog topic."""

import faust
from faust.types import StreamT
from job import WINDOW_S, Job


class Visit(faust.Record, serializer="json"):
    """The two fields that count."""

    ts: int
    uid: str


job = Job(__doc__)
# Windows must not expire: Faust compares event times with the clock on the wall.
users = job.app.SetTable("users").tumbling(WINDOW_S).relative_to_field(Visit.ts)


@job.app.agent(job.app.topic(job.topic, value_type=Visit))
async def count(visits: StreamT[Visit]) -> None:
    """Count the unique users of every window."""
    async for visit in visits:
        users["all"].add(visit.uid)
        if job.saw():
            job.finish({int(window[0]): len(unique) for (_, window), unique in users.table.items()})


if __name__ == "__main__":
    job.run()
