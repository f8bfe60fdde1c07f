"""The file of DuckDB: opened, its format checked, its fixed tables made."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streamagg.errors import SettingsError
from streamagg.events import Log
from streamagg.serve.store import blobs

if TYPE_CHECKING:
    import duckdb

FORMAT: Final = 2
"""Of the file; one of an older format is read anew from where its records come from."""
NAME: Final = "history.duckdb"
MEMORY: Final = "400MB"
"""Of DuckDB, for blocks that are kept and for sorting; what is larger goes to disk."""
_TABLES: Final = (
    "CREATE TABLE about (format INTEGER, layout INTEGER)",
    f"INSERT INTO about VALUES ({FORMAT}, 0)",
    "CREATE TABLE calendars (number INTEGER, name VARCHAR, measures VARCHAR)",
    "CREATE TABLE segments (calendar INTEGER, number INTEGER, least BIGINT, most BIGINT, rows BIGINT)",
    "CREATE TABLE groups (number INTEGER, text VARCHAR, names VARCHAR)",
    "CREATE TABLE positions (place VARCHAR, part VARCHAR, position VARCHAR)",
    "CREATE TABLE sketches (calendar INTEGER, grp INTEGER, ts BIGINT, start BIGINT, size INTEGER)",
    "CREATE TABLE united (calendar INTEGER, until BIGINT)",
    "CREATE TABLE stale (calendar INTEGER, ts BIGINT)",
)
log = Log(__name__)


def open_file(directory: Path) -> "duckdb.DuckDBPyConnection":
    """The store in a directory, made if there is none.

    Raises SettingsError where it cannot be opened, and for a format of a later version.
    """
    if find_spec("duckdb") is None:
        raise SettingsError("serve needs the package duckdb: install it with pip install 'streamagg[serve]'.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The store {directory} cannot be made: {error.strerror}.") from error
    path = directory / NAME
    connection = _connect(path)
    found = _format(connection)
    if found is not None and found > FORMAT:
        connection.close()
        raise SettingsError(
            f"The store {directory} was written by a later version (format {found}): update streamagg, or"
            " delete that directory to have it read anew."
        )
    if found is not None and found < FORMAT:
        log.warning(
            "store_rebuilt",
            "the store {directory} has the format {format} of an older version: it is made anew",
            directory=directory,
            format=found,
        )
        connection.close()
        remove(directory)
        connection, found = _connect(path), None
    if found is None:
        connection.execute("BEGIN")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("COMMIT")
    return connection


def remove(directory: Path) -> None:
    """Delete what this program has made in the directory of a store."""
    for name in (NAME, f"{NAME}.wal"):
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(directory / blobs.NAME, ignore_errors=True)


def _connect(path: Path) -> "duckdb.DuckDBPyConnection":
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": MEMORY,
        # Nothing is fetched from anywhere.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        return duckdb.connect(str(path), config=settings)
    except duckdb.Error as error:
        raise SettingsError(f"The store {path} cannot be opened: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if "lock" in text:
        return "another process has it open; give each its own --store"
    first = text.splitlines()[0].rstrip(".")
    return f"{first}; delete it, and it is made anew from what was published"


def _format(connection: "duckdb.DuckDBPyConnection") -> int | None:
    """None for a file in which there is nothing yet."""
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "about" not in tables:
        return 0 if tables else None
    row = connection.execute("SELECT format FROM about").fetchone()
    return 0 if row is None else int(row[0])
