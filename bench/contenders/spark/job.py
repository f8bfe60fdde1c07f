"""Spark SQL: ``count(DISTINCT …)`` by minute, on a topic from its begin to its present end."""

import argparse
import json
import time
from pathlib import Path

from pyspark.sql import SparkSession  # type: ignore[import-not-found]  # installed in an environment of its own

FIELDS = {
    "plain": "ts BIGINT, uid STRING",
    "grouped": "ts BIGINT, uid STRING, page STRUCT<path: STRING>, bytes BIGINT, latency_ms DOUBLE",
}
QUERY = {
    "plain": """
SELECT ts - ts % 60 AS ts, count(DISTINCT uid) AS cnt, count(*) AS records
FROM visits GROUP BY 1
""",
    "grouped": """
SELECT ts - ts % 60 AS ts, page.path AS page, count(DISTINCT uid) AS cnt, count(*) AS records,
  sum(bytes) AS bytes, max(latency_ms) AS slowest
FROM visits GROUP BY 1, 2
""",
}


def main() -> None:
    """Parse the command line, run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "bootstrap", "topic"):
        parser.add_argument(name)
    for name in ("result", "scratch"):
        parser.add_argument(name, type=Path)
    parser.add_argument("jars")
    parser.add_argument("--heap", required=True)
    given = parser.parse_args()
    settings = {
        "spark.jars": given.jars,
        "spark.driver.memory": given.heap,
        "spark.local.dir": str(given.scratch),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(given.scratch / "warehouse"),
        "spark.ui.enabled": "false",
    }
    spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    began = time.monotonic()
    topic = spark.read.format("kafka").options(
        **{"kafka.bootstrap.servers": given.bootstrap, "subscribe": given.topic}
    )
    values = topic.load().selectExpr(f"from_json(CAST(value AS STRING), '{FIELDS[given.work]}') AS visit")
    values.select("visit.*").createOrReplaceTempView("visits")
    spark.sql(QUERY[given.work]).write.json(str(given.scratch / "parts"))
    seconds = time.monotonic() - began
    spark.stop()
    rows = given.scratch / "rows.jsonl"
    rows.write_bytes(b"".join(part.read_bytes() for part in (given.scratch / "parts").glob("*.json")))
    given.result.write_text(json.dumps({"seconds": seconds, "rows": str(rows)}))


if __name__ == "__main__":
    main()
