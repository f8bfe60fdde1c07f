"""The tables, and whether they are there."""

from typing import Final

import psycopg

from streamagg.errors import PlaceError
from streamagg.sinks.postgres.schema import VERSION, schema

_OLDEST: Final = 150_000
_MAKING: Final = 7_215_398_461_023_457
"""An advisory lock while tables are made, for two who make them at once quarrel."""


def make_tables(connection: psycopg.Connection) -> None:
    """They are there from now on, unless they were of another version."""
    require_server(connection)
    if not are_there(connection):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
            connection.execute(schema().encode())


def require_tables(connection: psycopg.Connection, name: str) -> None:
    """Raises PlaceError if they are missing, or of another version; ``name``: of the database."""
    require_server(connection)
    if not are_there(connection):
        raise PlaceError(
            f"{name} has no tables of streamagg in its search path: leave out --no-create-tables, or make"
            " them of what streamagg schema --postgres prints."
        )
    found = connection.execute("SELECT version FROM streamagg_version").fetchone()
    if found != (VERSION,):
        version = "no version" if found is None else f"version {found[0]}"
        raise PlaceError(
            f"{name} has tables of {version}, and this streamagg knows version {VERSION}: use the one that"
            " made them, or give another schema."
        )


def require_server(connection: psycopg.Connection) -> None:
    """Raises PlaceError for a server that is too old, or a database that cannot hold every text."""
    if connection.info.server_version < _OLDEST:
        raise PlaceError(
            f"PostgreSQL {connection.info.server_version // 10_000} is too old: 15 is the oldest that"
            " streamagg publishes to."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise PlaceError(f"The database has the encoding {encoding}, and must have UTF8.")


def are_there(connection: psycopg.Connection) -> bool:
    """Some version of them."""
    found = connection.execute("SELECT to_regclass('streamagg_version') IS NOT NULL").fetchone()
    return found == (True,)
