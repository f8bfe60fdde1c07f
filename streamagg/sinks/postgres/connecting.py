"""Connections, and what the errors of a server mean."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import conninfo

from streamagg.errors import AccessDenied, PlaceError, SettingsError, StreamaggError, Unreachable
from streamagg.model.places import shown

_CLIENT: Final = {
    "connect_timeout": 10,
    "application_name": "streamagg",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 5,
    # Milliseconds in which a machine that is gone is noticed while something is sent to it.
    "tcp_user_timeout": 15_000,
}
"""Unless the URL says otherwise."""
_SERVER: Final = {
    # A lock that somebody holds for longer is waited for by trying again.
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    # Whoever is stopped in the middle of a transaction lets go of what it has locked.
    "idle_in_transaction_session_timeout": "5s",
    "client_encoding": "UTF8",
}


def name_of(url: str) -> str:
    """For messages; never with a password."""
    return f"The database {shown(url).partition('?')[0]}"


def connect(url: str, **settings: str) -> psycopg.Connection:
    """A connection in autocommit; raises Unreachable, SettingsError for a URL that is none, or psycopg.Error.

    ``settings`` are of the server, for this session.
    """
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise SettingsError(f"{name_of(url)} is no URL of PostgreSQL: {_sentence(error)}.") from error
    defaults: dict[str, Any] = {key: value for key, value in _CLIENT.items() if key not in given}
    try:
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None, **defaults)
    except psycopg.Error as error:
        raise Unreachable(f"{name_of(url)} cannot be reached: {_sentence(error)}.") from error
    session = _SERVER | settings
    each = ", ".join(["set_config(%s, %s, false)"] * len(session))
    try:
        connection.execute(f"SELECT {each}".encode(), [part for item in session.items() for part in item])
    except psycopg.Error:
        close(connection)
        raise
    return connection


@contextmanager
def asking(url: str) -> Iterator[psycopg.Connection]:
    """A connection for some questions; raises a StreamaggError."""
    try:
        connection = connect(url)
        try:
            yield connection
        finally:
            connection.close()
    except psycopg.Error as error:
        raise meant(error, url) from error


_AWAY_CLASSES: Final = (
    *("08", "40", "53", "57", "58"),
    # Read-only, as a primary that has become a standby is; a transaction that was idle for too long.
    "25",
    # A lock could not be had in time.
    "55",
)
_DENIED: Final = ("42501", "28000", "28P01")
_MISSING: Final = ("42P01", "42703", "3F000", "3D000", "42P10", "42883")
"""No such table, column, schema, database, unique index or function."""


def refused(error: psycopg.Error, url: str) -> StreamaggError | None:
    """What an error means; None if it is a fault of what was asked."""
    code, name = error.sqlstate, name_of(url)
    if code is None or code[:2] in _AWAY_CLASSES:
        return Unreachable(f"{name} {_hindrance(code)}: {_sentence(error)}.")
    if code in _DENIED:
        return AccessDenied(f"{name} denies this user a right: {_sentence(error)}. See docs/postgres.md.")
    if code in _MISSING:
        return PlaceError(
            f"{name} has not the tables that it should have: {_sentence(error)}. Compare them with what"
            " streamagg schema --postgres prints."
        )
    return None


def meant(error: psycopg.Error, url: str) -> StreamaggError:
    """The same, whatever it is."""
    return refused(error, url) or StreamaggError(f"{name_of(url)} failed: {_sentence(error)}.")


_HINDRANCES: Final = {
    "25": "is read-only, or has ended a transaction that stood still",
    "40": "is busy with somebody else's transaction",
    "53": "has not what it needs",
    "53100": "is on a disk that is full",
    "55": "is busy with somebody else's transaction",
    "57014": "takes too long",
}
"""By code, or class of codes."""


def _hindrance(code: str | None) -> str:
    code = code or ""
    return _HINDRANCES.get(code) or _HINDRANCES.get(code[:2], "cannot be reached")


def _sentence(error: psycopg.Error) -> str:
    """The first line of what the server or the client says."""
    said = error.diag.message_primary or str(error)
    return said.strip().partition("\n")[0].strip().rstrip(".")


def close(connection: psycopg.Connection) -> None:
    """Whatever state it is in."""
    with suppress(psycopg.Error):
        connection.close()
