"""Run a dataflow of Bytewax in one or several processes, and write what it counted.

``python run.py FLOW TOPIC RESULT --bootstrap-servers … --scratch DIRECTORY [--processes 2]``
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition


def free_addresses(count: int) -> list[str]:
    """Addresses on this machine that were free a moment ago."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return ["{}:{}".format(*probe.getsockname()) for probe in probes]


def run(given: argparse.Namespace) -> None:
    """Run the dataflow to its end; ends this process with exit code 1 if that fails."""
    environment = {
        **os.environ,
        "BOOTSTRAP_SERVERS": given.bootstrap_servers,
        "TOPIC": given.topic,
        "SCRATCH": str(given.scratch),
    }
    dataflow = Path(__file__).parent / "dataflows" / f"{given.flow}.py"
    command = [sys.executable, "-m", "bytewax.run", f"{dataflow}:flow"]
    addresses = ";".join(free_addresses(given.processes))
    cluster = [["-i", str(number), "-a", addresses] for number in range(given.processes)]
    workers = [subprocess.Popen([*command, *place], env=environment) for place in cluster]
    exit_codes = [worker.wait() for worker in workers]
    if any(exit_codes):
        sys.exit(f"The dataflow {given.flow} failed.")


def records_of(bootstrap_servers: str, topic: str) -> int:
    """All records of a topic: a dataflow ends when it has read them."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "bytewax-ends"})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, number)) for number in partitions]
    consumer.close()
    return sum(high - low for low, high in ends)


def result_of(given: argparse.Namespace) -> dict[str, Any]:
    """Where the counts are, and the time from the first fetch to the last of them."""
    began = min(float(file.read_text()) for file in given.scratch.glob("began-*"))
    counted = [json.loads(line) for line in (given.scratch / "windows").read_text().splitlines()]
    return {
        "records": records_of(given.bootstrap_servers, given.topic),
        "seconds": max(row["at"] for row in counted) - began,
        "rows": str(given.scratch / "windows"),
    }


def main() -> None:
    """Parse the command line, run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flow", choices=["folded", "windows", "tutorial", "grouped"])
    parser.add_argument("topic")
    parser.add_argument("result", type=Path)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    run(given)
    given.result.write_text(json.dumps(result_of(given)))


if __name__ == "__main__":
    main()
