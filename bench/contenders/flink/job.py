"""Flink SQL: ``COUNT(DISTINCT …)`` over a tumbling window, on a topic from its begin to its present end."""

import argparse
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

SOURCE = """
CREATE TABLE events (
  ts BIGINT,
  uid STRING,{fields}
  happened AS TO_TIMESTAMP_LTZ(ts, 0),
  WATERMARK FOR happened AS happened - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '{topic}',
  'properties.bootstrap.servers' = '{bootstrap}',
  'properties.group.id' = '{output}',
  'properties.isolation.level' = 'read_committed',
  'properties.max.poll.records' = '5000',
  'properties.fetch.min.bytes' = '100000',
  'properties.fetch.max.wait.ms' = '50',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'value.format' = 'json',
  'value.json.ignore-parse-errors' = 'true'
)
"""
SINK = """
CREATE TABLE uniques (
  ts BIGINT,
  cnt BIGINT{figures}
) WITH (
  'connector' = 'kafka',
  'topic' = '{output}',
  'properties.bootstrap.servers' = '{bootstrap}',
  'value.format' = 'json'{delivery}
)
"""
EXACTLY_ONCE = """,
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = '{output}',
  'properties.transaction.timeout.ms' = '600000'"""
QUERY = """
INSERT INTO uniques
SELECT TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_start), COUNT(DISTINCT {user}){selected}
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(happened), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end{keys}
"""
PLAIN = {"fields": "", "figures": "", "selected": "", "keys": ""}
RECORDS = {**PLAIN, "figures": ", records BIGINT", "selected": ", COUNT(*)"}
GROUPED = {
    "fields": " page ROW<path STRING>, `bytes` BIGINT, latency_ms DOUBLE,",
    "figures": ", page STRING, records BIGINT, `bytes` BIGINT, slowest DOUBLE",
    "selected": ", page.path, COUNT(*), SUM(`bytes`), MAX(latency_ms)",
    "keys": ", page.path",
}
SETTINGS = {
    "pipeline.object-reuse": "true",
    "state.backend.type": "hashmap",
    "table.exec.source.idle-timeout": "10 s",
    # Otherwise the start of a window depends on the zone of the machine.
    "table.local-time-zone": "UTC",
}
CHECKPOINT_INTERVAL = "1 s"

LOGGED = re.compile(r"^(\S+ \S+) .* - (.*) \(\d+/\d+\) .* switched from \S+ to (\w+)\.$")
SPLIT = re.compile(r"\[Partition: (\S+), StartingOffset: -?\d+, StoppingOffset: (\d+)\]")


def run(given: argparse.Namespace) -> None:
    """Run the query in a cluster of this process's own until it has read everything."""
    # The gateway reads these when it starts the Java machine.
    os.environ["FLINK_LOG_DIR"] = str(given.scratch)
    os.environ["JVM_ARGS"] = f"-Xmx{given.heap}"
    from pyflink.table import (  # type: ignore[import-not-found]  # installed in an environment of its own
        DataTypes,
        EnvironmentSettings,
        TableEnvironment,
    )
    from pyflink.table.udf import udf  # type: ignore[import-not-found]

    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    settings = {**SETTINGS, "pipeline.jars": given.jar.as_uri()}
    settings |= dict.fromkeys(("parallelism.default", "taskmanager.numberOfTaskSlots"), given.parallelism)
    if given.exactly_once:
        settings["execution.checkpointing.interval"] = CHECKPOINT_INTERVAL
        settings["execution.checkpointing.dir"] = (given.scratch / "checkpoints").as_uri()
    if given.python:
        settings["python.executable"] = sys.executable
    for name, value in settings.items():
        tables.get_config().set(name, value)
    names = {"bootstrap": given.bootstrap, "topic": given.topic, "output": given.output, "user": "uid"}
    names |= {"grouped": GROUPED, "records": RECORDS, "plain": PLAIN}[given.work]
    if given.python:
        names["user"] = "same(uid)"
        tables.create_temporary_function("same", udf(lambda user: user, result_type=DataTypes.STRING()))
    tables.execute_sql(SOURCE.format(**names))
    delivery = EXACTLY_ONCE.format(**names) if given.exactly_once else ""
    tables.execute_sql(SINK.format(**names, delivery=delivery))
    tables.execute_sql(QUERY.format(**names)).wait()


def measured(log: str) -> dict[str, float]:
    """Records read and the seconds from the first running source to the last finished sink."""
    began, ended = [], []
    for line in log.splitlines():
        found = LOGGED.match(line)
        if found is None:
            continue
        when = datetime.fromisoformat(found[1]).timestamp()
        if found[3] == "RUNNING" and "Source: events" in found[2]:
            began.append(when)
        if found[3] == "FINISHED":
            ended.append(when)
    # A bounded job is finished when it has read every partition up to this offset.
    ends = {partition: int(end) for partition, end in SPLIT.findall(log)}
    return {"records": sum(ends.values()), "seconds": max(ended) - min(began)}


def main() -> None:
    """Parse the command line, run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "topic", "output"):
        parser.add_argument(name)
    for name in ("result", "scratch", "jar"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--heap", required=True)
    parser.add_argument("--exactly-once", action="store_true")
    parser.add_argument("--work", choices=("plain", "grouped", "records"), default="plain")
    parser.add_argument("--parallelism", default="2")
    parser.add_argument("--python", action="store_true", help="a Python function for each record")
    given = parser.parse_args()
    run(given)
    [log] = given.scratch.glob("flink-*.log")
    given.result.write_text(json.dumps(measured(log.read_text())))


if __name__ == "__main__":
    main()
