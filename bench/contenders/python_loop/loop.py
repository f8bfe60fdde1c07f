"""What one writes first: one process, one loop, a set of users for every minute.

``python loop.py TOPIC RECORDS RESULT ROWS --bootstrap-servers … --group … [--tuned] [--grouped]``
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson
from confluent_kafka import Consumer, KafkaException, Message

WINDOW_S: Final = 60
TUNED: Final[dict[str, object]] = {
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 4 << 20,
    "check.crcs": True,
}
BATCH_RECORDS: Final = 1_000


class Users:
    """A set of users for every minute."""

    def __init__(self) -> None:
        self._users: defaultdict[int, set[str]] = defaultdict(set)

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Count some records."""
        for record in records:
            self._users[record["ts"] // WINDOW_S].add(record["uid"])

    def rows(self) -> list[dict[str, Any]]:
        """The counts."""
        return [{"ts": minute * WINDOW_S, "cnt": len(users)} for minute, users in self._users.items()]


class Pages:
    """A set of users, a count, a sum and a maximum for every page of every minute."""

    def __init__(self) -> None:
        self._users: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._records: Counter[tuple[int, str]] = Counter()
        self._bytes: Counter[tuple[int, str]] = Counter()
        self._slowest: defaultdict[tuple[int, str], float] = defaultdict(float)

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Count some records."""
        for record in records:
            place = record["ts"] // WINDOW_S, record["page"]["path"]
            self._users[place].add(record["uid"])
            self._records[place] += 1
            self._bytes[place] += record["bytes"]
            self._slowest[place] = max(self._slowest[place], record["latency_ms"])

    def rows(self) -> list[dict[str, Any]]:
        """The figures."""
        return [
            {
                "ts": place[0] * WINDOW_S,
                "page": place[1],
                "cnt": len(users),
                "records": self._records[place],
                "bytes": self._bytes[place],
                "slowest": self._slowest[place],
            }
            for place, users in self._users.items()
        ]


def document(message: Message) -> dict[str, Any]:
    """What a record says."""
    if message.error():
        raise KafkaException(message.error())
    record: dict[str, Any] = orjson.loads(message.value() or b"")
    return record


def fetch_one(consumer: Consumer) -> list[Message]:
    """The next record, or nothing when there is none for a second."""
    message = consumer.poll(1.0)
    return [] if message is None else [message]


def fetch_batch(consumer: Consumer) -> list[Message]:
    """The next records, or nothing when there are none for a second."""
    return consumer.consume(BATCH_RECORDS, 1.0)


def count(given: argparse.Namespace) -> dict[str, Any]:
    """Read so many records; returns where the counts are, and how long it took."""
    settings: dict[str, object] = {
        "bootstrap.servers": given.bootstrap_servers,
        "group.id": given.group,
        "auto.offset.reset": "earliest",
        **(TUNED if given.tuned else {}),
    }
    fetch = fetch_batch if given.tuned else fetch_one
    assigned: list[float] = []
    counting: Users | Pages = Pages() if given.grouped else Users()
    records = 0

    consumer = Consumer(settings)
    consumer.subscribe([given.topic], on_assign=lambda *_: assigned.append(time.monotonic()))
    while records < given.records:
        messages = fetch(consumer)
        counting.add(map(document, messages))
        records += len(messages)
    rows = counting.rows()
    given.rows.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    seconds = time.monotonic() - assigned[0]
    consumer.close()
    return {"records": records, "seconds": seconds, "rows": str(given.rows)}


def main() -> None:
    """Parse the command line, count, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("records", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--grouped", action="store_true")
    given = parser.parse_args()
    given.result.write_text(json.dumps(count(given)))


if __name__ == "__main__":
    main()
