#!/bin/sh
# The same by PostgreSQL, which is at the URL $3 and has nothing of it yet.
cd "$1" || exit 1
psql=$(ls /usr/lib/postgresql/*/bin/psql | tail -n 1)
"$psql" --quiet --no-psqlrc --set ON_ERROR_STOP=1 "$3" <<SQL
CREATE TABLE usage (ts bigint, uid text, client text, amount numeric, note text);
CREATE TEMPORARY TABLE lines (line jsonb);
\copy usage FROM PROGRAM 'for file in */*.csv; do tail -n +2 "\$file"; done' WITH (FORMAT csv)
\copy usage FROM PROGRAM 'for file in */*.csv.gz; do zcat "\$file" | tail -n +2; done' WITH (FORMAT csv)
\copy lines FROM PROGRAM 'cat */*.jsonl; zcat */*.jsonl.gz' WITH (FORMAT csv, DELIMITER e'\x02', QUOTE e'\x01')
INSERT INTO usage SELECT (line->>'ts')::bigint, line->>'uid', line->>'client', (line->>'amount')::numeric, line->>'note'
FROM lines;
\copy (SELECT client, ts - ts % 3600, sum(amount), count(DISTINCT uid) FROM usage GROUP BY 1, 2) TO '$2' WITH (FORMAT csv)
SQL
