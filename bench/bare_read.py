"""The floor of every comparison: read a topic to its end and look at nothing.

``python bench/bare_read.py TOPIC [--processes 2] [--bootstrap-servers …]`` prints one JSON object.
Client settings are those of streamagg's unmarshallers; partitions are dealt out to the processes.
"""

import argparse
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

from confluent_kafka import Consumer, TopicPartition

from streamagg.kafka.admin import end_offsets, partitions_of
from streamagg.kafka.client import consumer_config
from streamagg.settings import KafkaSettings

BATCH_RECORDS = 1_000


def read(kafka: KafkaSettings, topic: str, ends: dict[int, int], results: Connection) -> None:
    """Read partitions up to ``ends``; sends (first fetch, last record, records)."""
    consumer = Consumer(consumer_config(kafka, group_id="bare-read"))
    results.send("ready")
    results.recv()
    started = time.time()
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    records, wanted = 0, sum(ends.values())
    while records < wanted:
        records += len(consumer.consume(BATCH_RECORDS, 1.0))
    results.send((started, time.time(), records))
    consumer.close()


def measure(kafka: KafkaSettings, topic: str, processes: int) -> dict[str, float]:
    """Records, seconds from the first fetch to the last record, and records a second."""
    ends = end_offsets(kafka, topic, range(partitions_of(kafka, topic)), at="latest")
    context = multiprocessing.get_context("spawn")
    readers = []
    for number in range(processes):
        ours, theirs = context.Pipe()
        share = {partition: end for partition, end in ends.items() if partition % processes == number}
        reader = context.Process(target=read, args=(kafka, topic, share, theirs))
        reader.start()
        readers.append((reader, ours))
    for _, pipe in readers:
        pipe.recv()
    for _, pipe in readers:
        pipe.send("go")
    spans = [pipe.recv() for _, pipe in readers]
    for reader, _ in readers:
        reader.join()
    seconds = max(end for _, end, _ in spans) - min(start for start, _, _ in spans)
    records = sum(count for _, _, count in spans)
    return {"records": records, "seconds": seconds, "records_per_second": records / seconds}


def main() -> None:
    """Parse the command line and print the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--bootstrap-servers", default="127.0.0.1:19092")
    given = parser.parse_args()
    print(json.dumps(measure(KafkaSettings(given.bootstrap_servers), given.topic, given.processes)))


if __name__ == "__main__":
    main()
