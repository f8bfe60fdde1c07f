"""What one writes first: one process, one loop, a set of users for every minute.

``python loop.py TOPIC RECORDS RESULT --bootstrap-servers … --group … [--tuned]``
"""

import argparse
import json
import time
from collections import defaultdict
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


def fetch_one(consumer: Consumer) -> list[Message]:
    """The next record, or nothing when there is none for a second."""
    message = consumer.poll(1.0)
    return [] if message is None else [message]


def fetch_batch(consumer: Consumer) -> list[Message]:
    """The next records, or nothing when there are none for a second."""
    return consumer.consume(BATCH_RECORDS, 1.0)


def count(given: argparse.Namespace) -> dict[str, Any]:
    """Read so many records; returns the unique users of every minute, and how long it took."""
    settings: dict[str, object] = {
        "bootstrap.servers": given.bootstrap_servers,
        "group.id": given.group,
        "auto.offset.reset": "earliest",
        **(TUNED if given.tuned else {}),
    }
    fetch = fetch_batch if given.tuned else fetch_one
    assigned: list[float] = []
    users: defaultdict[int, set[str]] = defaultdict(set)
    records = 0

    consumer = Consumer(settings)
    consumer.subscribe([given.topic], on_assign=lambda *_: assigned.append(time.monotonic()))
    while records < given.records:
        for message in fetch(consumer):
            if message.error():
                raise KafkaException(message.error())
            record = orjson.loads(message.value() or b"")
            users[record["ts"] // WINDOW_S].add(record["uid"])
            records += 1
    seconds = time.monotonic() - assigned[0]
    consumer.close()
    windows = {str(minute * WINDOW_S): len(unique) for minute, unique in sorted(users.items())}
    return {"records": records, "seconds": seconds, "windows": windows}


def main() -> None:
    """Parse the command line, count, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("records", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--tuned", action="store_true")
    given = parser.parse_args()
    given.result.write_text(json.dumps(count(given)))


if __name__ == "__main__":
    main()
