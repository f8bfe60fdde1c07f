-- Tables of streamagg, version 1, for PostgreSQL 15 or newer; in the first schema of the search path.

CREATE TABLE IF NOT EXISTS streamagg_version (version integer PRIMARY KEY);
INSERT INTO streamagg_version SELECT 1 WHERE NOT EXISTS (SELECT FROM streamagg_version);

-- A job is what --group names. Whoever begins to publish raises its epoch, which shuts out all before.
CREATE TABLE IF NOT EXISTS streamagg_jobs (
    job text PRIMARY KEY,
    epoch bigint NOT NULL
);

-- A row for each window, each period of a calendar, and each of their groups; docs/postgres.md has the columns.
CREATE TABLE IF NOT EXISTS streamagg_results (
    job text NOT NULL,
    calendar text,
    ts timestamptz NOT NULL,
    "end" timestamptz NOT NULL,
    granularity interval NOT NULL,
    "group" jsonb,
    -- The text of the group: it takes a third of the time that jsonb takes in an index, and holds any group.
    key text COLLATE "C" NOT NULL,
    cnt bigint,
    records bigint NOT NULL,
    measures jsonb NOT NULL,
    partial boolean NOT NULL,
    approximate boolean NOT NULL,
    error double precision,
    groups bigint,
    groups_dropped boolean NOT NULL,
    UNIQUE NULLS NOT DISTINCT (job, calendar, ts, key)
);

-- Where reading goes on.
CREATE TABLE IF NOT EXISTS streamagg_checkpoints (
    job text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    checkpoint text NOT NULL,
    PRIMARY KEY (job, partition)
) WITH (fillfactor = 50);

-- What open periods of calendars hold.
CREATE TABLE IF NOT EXISTS streamagg_state (
    job text NOT NULL,
    key bytea NOT NULL,
    number bigint NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (job, key)
);
ALTER TABLE streamagg_state ALTER COLUMN value SET STORAGE EXTERNAL;
