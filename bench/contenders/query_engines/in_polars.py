"""polars: its reader of JSON lines, one query at the end."""

from collections.abc import Iterable

import polars as pl

START = (pl.col("ts") - pl.col("ts") % 60).alias("ts")
COUNTS = [pl.col("uid").n_unique().alias("cnt"), pl.len().alias("records")]
PLAIN = {"ts": pl.Int64, "uid": pl.String}
SCHEMA = {
    "plain": PLAIN,
    "grouped": {
        **PLAIN,
        "page": pl.Struct({"path": pl.String}),
        "bytes": pl.Int64,
        "latency_ms": pl.Float64,
    },
}
KEYS = {
    "plain": [START],
    "grouped": [START, pl.col("page").struct.field("path").alias("page")],
}
FIGURES = {
    "plain": COUNTS,
    "grouped": [*COUNTS, pl.col("bytes").sum(), pl.col("latency_ms").max().alias("slowest")],
}


def count_file(file: str, rows: str, work: str) -> None:
    """Count a file of JSON lines into a file of rows."""
    _write(pl.scan_ndjson(file, schema=SCHEMA[work]), rows, work)


def count_batches(batches: Iterable[list[bytes]], rows: str, work: str) -> None:
    """Count batches of JSON documents into a file of rows."""
    frames = [pl.read_ndjson(b"\n".join(batch), schema=SCHEMA[work]) for batch in batches]
    _write(pl.concat(frames).lazy(), rows, work)


def _write(visits: pl.LazyFrame, rows: str, work: str) -> None:
    visits.group_by(KEYS[work]).agg(FIGURES[work]).collect().write_ndjson(rows)
