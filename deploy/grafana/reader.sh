#!/bin/sh
# Run once by the image of PostgreSQL, when its database is made: a user for Grafana, who may only read.
set -eu
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set password="$GRAFANA_PASSWORD" \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
SQL
