"""DuckDB, with pysimdjson to read the two fields."""

from collections.abc import Iterable

import duckdb
import pyarrow as pa
import simdjson
from in_duckdb import SELECT


def count_batches(batches: Iterable[list[bytes]], rows: str, work: str) -> None:
    """Count batches of JSON documents into a file of rows; plain work only."""
    database = duckdb.connect()
    database.execute("CREATE TABLE visits (ts BIGINT, uid VARCHAR)")
    parser = simdjson.Parser()
    for batch in batches:
        times, users = [], []
        for value in batch:
            record = parser.parse(value)
            times.append(record["ts"])
            users.append(record["uid"])
            # The parser takes the next document only when nobody holds this one.
            del record
        database.register("batch", pa.table({"ts": times, "uid": users}))
        database.execute("INSERT INTO visits SELECT * FROM batch")
    database.execute(f"COPY ({SELECT[work]} FROM visits GROUP BY ALL) TO '{rows}' (FORMAT json)")
