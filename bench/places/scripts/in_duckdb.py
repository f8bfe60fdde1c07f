"""What the directory of the first argument holds, by client and hour, into the file of the second one."""

import sys

import duckdb

root, out = sys.argv[1:]
types = "{ts: 'BIGINT', uid: 'VARCHAR', client: 'VARCHAR', amount: 'DOUBLE', note: 'VARCHAR'}"
duckdb.sql(
    f"""
    COPY (
        SELECT client, ts - ts % 3600 AS hour, sum(amount), count(DISTINCT uid)
        FROM (
            SELECT ts, uid, client, amount
            FROM read_json(['{root}/*/*.jsonl', '{root}/*/*.jsonl.gz'], columns = {types})
            UNION ALL
            SELECT ts, uid, client, amount
            FROM read_csv(['{root}/*/*.csv', '{root}/*/*.csv.gz'], columns = {types}, header = true)
        )
        GROUP BY ALL
    ) TO '{out}'
    """
)
