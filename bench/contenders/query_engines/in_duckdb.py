"""DuckDB: its own reader of JSON, one query at the end."""

import json
from collections.abc import Iterable

import duckdb
import pyarrow as pa

FIELDS = {
    "plain": {"ts": "BIGINT", "uid": "VARCHAR"},
    "grouped": {
        "ts": "BIGINT",
        "uid": "VARCHAR",
        "page": {"path": "VARCHAR"},
        "bytes": "BIGINT",
        "latency_ms": "DOUBLE",
    },
}
SELECT = {
    "plain": "SELECT ts - ts % 60 AS ts, count(DISTINCT uid) AS cnt, count(*) AS records",
    "grouped": (
        "SELECT ts - ts % 60 AS ts, page.path AS page, count(DISTINCT uid) AS cnt, count(*) AS records, "
        "sum(bytes) AS bytes, max(latency_ms) AS slowest"
    ),
}


def count_file(file: str, rows: str, work: str) -> None:
    """Count a file of JSON lines into a file of rows."""
    columns = {name: _type(kind) for name, kind in FIELDS[work].items()}
    visits = f"read_json('{file}', format='newline_delimited', columns={columns})"
    _write(duckdb.connect(), visits, rows, work)


def count_batches(batches: Iterable[list[bytes]], rows: str, work: str) -> None:
    """Count batches of JSON documents into a file of rows."""
    database = duckdb.connect()
    structure = json.dumps(FIELDS[work])
    columns = ", ".join(f"{name} {_type(kind)}" for name, kind in FIELDS[work].items())
    database.execute(f"CREATE TABLE visits ({columns})")
    for batch in batches:
        database.register("batch", pa.table({"value": pa.array(batch, pa.binary()).cast(pa.string())}))
        database.execute(f"INSERT INTO visits SELECT unnest(from_json(value, '{structure}')) FROM batch")
    _write(database, "visits", rows, work)


def _type(kind: str | dict[str, str]) -> str:
    if isinstance(kind, str):
        return kind
    return f"STRUCT({', '.join(f'{name} {inner}' for name, inner in kind.items())})"


def _write(database: duckdb.DuckDBPyConnection, visits: str, rows: str, work: str) -> None:
    database.execute(f"COPY ({SELECT[work]} FROM {visits} GROUP BY ALL) TO '{rows}' (FORMAT json)")
