"""Quix Streams as a consumer only: a set of users for every minute, kept by hand."""

from collections import defaultdict
from typing import Any

from job import WINDOW_S, Job


def main() -> None:
    """Count the unique users of every minute in plain sets."""
    job = Job(__doc__)
    users: defaultdict[int, set[str]] = defaultdict(set)

    def add(record: dict[str, Any]) -> None:
        users[record["ts"] // WINDOW_S].add(record["uid"])
        job.saw(record)

    records = job.app.dataframe(job.app.topic(job.topic, value_deserializer="json"))
    records.update(add)
    job.app.run()
    job.write({minute * WINDOW_S: len(unique) for minute, unique in users.items()})


if __name__ == "__main__":
    main()
