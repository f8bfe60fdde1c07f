"""Read a topic to its end and look at nothing.

Client settings are those of streamagg's unmarshallers; partitions are dealt out to the processes.
"""

import argparse
import json
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from bench.contenders.bare.side_by_side import Begin, side_by_side
from streamagg.kafka.admin import end_offsets, partitions_of
from streamagg.kafka.client import consumer_config
from streamagg.model.settings import KafkaSettings

BATCH_RECORDS = 1_000


def read(kafka: KafkaSettings, topic: str, ends: dict[int, int], begin: Begin) -> int:
    """Read partitions up to ``ends``; returns how many records that were."""
    consumer = Consumer(consumer_config(kafka, group_id="bare-read"))
    begin()
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    records, wanted = 0, sum(ends.values())
    while records < wanted:
        records += len(consumer.consume(BATCH_RECORDS, 1.0))
    return records


def main() -> None:
    """Parse the command line, read, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("result", type=Path)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--bootstrap-servers", required=True)
    given = parser.parse_args()
    kafka = KafkaSettings(given.bootstrap_servers)
    ends = end_offsets(kafka, given.topic, range(partitions_of(kafka, given.topic)), at="latest")
    shares = [
        {partition: end for partition, end in ends.items() if partition % given.processes == number}
        for number in range(given.processes)
    ]
    records, seconds = side_by_side(read, [(kafka, given.topic, share) for share in shares])
    given.result.write_text(json.dumps({"records": records, "seconds": seconds}))


if __name__ == "__main__":
    main()
