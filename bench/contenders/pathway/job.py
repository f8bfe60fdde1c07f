"""Pathway: ``count_distinct`` by minute, on a topic from its begin to its present end.

``python job.py TOPIC RECORDS RESULT --bootstrap-servers … --group … --partitions … --scratch DIRECTORY``
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

# Read when it is imported.
os.environ["PATHWAY_THREADS"] = "2"

import pathway as pw  # type: ignore[import-not-found]  # installed in an environment of its own


class Visit(pw.Schema):  # type: ignore[misc]  # unknown here, see above
    """What is read of a record."""

    ts: int
    uid: str


def count(bootstrap: str, group: str, topic: str) -> list[dict[str, Any]]:
    """The rows of all minutes."""
    rows: dict[int, dict[str, Any]] = {}

    def keep(key: object, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            rows[row["ts"]] = row

    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    visits = pw.io.kafka.read(settings, topic, schema=Visit, format="json", mode="static")
    minutes = visits.select(ts=pw.this.ts - pw.this.ts % 60, uid=pw.this.uid)
    counts = minutes.groupby(pw.this.ts).reduce(
        pw.this.ts, cnt=pw.reducers.count_distinct(pw.this.uid), records=pw.reducers.count()
    )
    pw.io.subscribe(counts, on_change=keep)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    return [*rows.values()]


def main() -> None:
    """Parse the command line, count, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("records", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--partitions", type=int)
    parser.add_argument("--scratch", type=Path, required=True)
    given = parser.parse_args()
    began = time.monotonic()
    counted = count(given.bootstrap_servers, given.group, given.topic)
    seconds = time.monotonic() - began
    rows = given.scratch / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in counted))
    given.result.write_text(json.dumps({"seconds": seconds, "rows": str(rows)}))


if __name__ == "__main__":
    main()
