"""Feed one of the engines from a consumer loop, in batches, and let it count.

``python from_topic.py MODULE WORK TOPIC RECORDS RESULT --bootstrap-servers … --group … --scratch DIRECTORY``
"""

import argparse
import json
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from confluent_kafka import Consumer, KafkaException

BATCH_RECORDS = 10_000
CLIENT = {
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 4 << 20,
    "check.crcs": True,
}


def batches(consumer: Consumer, records: int) -> Iterator[list[bytes]]:
    """The values of so many records."""
    while records:
        messages = consumer.consume(min(records, BATCH_RECORDS), 1.0)
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        if messages:
            records -= len(messages)
            yield [message.value() for message in messages]


def main() -> None:
    """Parse the command line, count, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("module", "work", "topic"):
        parser.add_argument(name)
    parser.add_argument("records", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    given = parser.parse_args()
    engine = import_module(given.module)
    rows = str(given.scratch / "rows.jsonl")
    assigned: list[float] = []
    place = {"bootstrap.servers": given.bootstrap_servers, "group.id": given.group}
    consumer = Consumer({**place, "auto.offset.reset": "earliest", **CLIENT})
    consumer.subscribe([given.topic], on_assign=lambda *_: assigned.append(time.monotonic()))
    engine.count_batches(batches(consumer, given.records), rows, given.work)
    seconds = time.monotonic() - assigned[0]
    consumer.close()
    given.result.write_text(json.dumps({"records": given.records, "seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
