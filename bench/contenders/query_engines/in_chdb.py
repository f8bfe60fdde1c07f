"""chDB, ClickHouse in this process: a query on a file, or a materialized view of what is inserted."""

from collections.abc import Iterable
from typing import NamedTuple

import chdb
from chdb.session import Session


class Query(NamedTuple):
    """One question, in pieces of SQL."""

    fields: str
    visits: str
    keys: str
    """What the visits are grouped by."""
    figures: str
    """Of the groups of visits."""
    states: str
    """Columns of the table behind the view."""
    folded: str
    """The same figures, as states that can be merged."""
    merged: str
    """The figures of states that were merged."""


QUERIES = {
    "plain": Query(
        fields="ts Int64, uid String",
        visits="SELECT ts - ts % 60 AS start, uid",
        keys="start",
        figures="start AS ts, uniqExact(uid) AS cnt, count() AS records",
        states=(
            "start Int64, users AggregateFunction(uniqExact, String), "
            "records SimpleAggregateFunction(sum, UInt64)"
        ),
        folded="start, uniqExactState(uid) AS users, count() AS records",
        merged="start AS ts, uniqExactMerge(users) AS cnt, sum(records) AS records",
    ),
    "grouped": Query(
        fields="ts Int64, uid String, page Tuple(path String), bytes Int64, latency_ms Float64",
        visits="SELECT ts - ts % 60 AS start, page.path AS path, uid, bytes, latency_ms",
        keys="start, path",
        figures=(
            "start AS ts, path AS page, uniqExact(uid) AS cnt, count() AS records, "
            "sum(bytes) AS bytes, max(latency_ms) AS slowest"
        ),
        states=(
            "start Int64, path String, users AggregateFunction(uniqExact, String), "
            "records SimpleAggregateFunction(sum, UInt64), bytes SimpleAggregateFunction(sum, Int64), "
            "slowest SimpleAggregateFunction(max, Float64)"
        ),
        folded=(
            "start, path, uniqExactState(uid) AS users, count() AS records, "
            "sum(bytes) AS bytes, max(latency_ms) AS slowest"
        ),
        merged=(
            "start AS ts, path AS page, uniqExactMerge(users) AS cnt, sum(records) AS records, "
            "sum(bytes) AS bytes, max(slowest) AS slowest"
        ),
    ),
}


def count_file(file: str, rows: str, work: str) -> None:
    """Count a file of JSON lines into a file of rows."""
    ask = QUERIES[work]
    visits = f"{ask.visits} FROM file('{file}', JSONEachRow, '{ask.fields}')"
    chdb.query(f"SELECT {ask.figures} FROM ({visits}) GROUP BY {ask.keys} {_into(rows)}")


def count_batches(batches: Iterable[list[bytes]], rows: str, work: str) -> None:
    """Count batches of JSON documents into a file of rows."""
    ask = QUERIES[work]
    database = Session(f"{rows}.database")
    database.query("CREATE DATABASE b")
    database.query(f"CREATE TABLE b.visits ({ask.fields}) ENGINE = Null")
    database.query(
        f"CREATE TABLE b.states ({ask.states}) ENGINE = AggregatingMergeTree ORDER BY ({ask.keys})"
    )
    view = f"SELECT {ask.folded} FROM ({ask.visits} FROM b.visits) GROUP BY {ask.keys}"
    database.query(f"CREATE MATERIALIZED VIEW b.view TO b.states AS {view}")
    for batch in batches:
        documents = b"\n".join(batch).decode()
        database.query(f"INSERT INTO b.visits FORMAT JSONEachRow {documents}")
    database.query(f"SELECT {ask.merged} FROM b.states GROUP BY {ask.keys} {_into(rows)}")
    database.close()


def _into(rows: str) -> str:
    return f"INTO OUTFILE '{rows}' FORMAT JSONEachRow"
