"""The one file that says what an output directory holds: whatever it does not name does not count.

It is replaced as a whole, by a rename, so that it is always one state. docs/directory.md describes it for
readers.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from streamagg.errors import PlaceError
from streamagg.model.settings import DecodeSettings
from streamagg.sinks.contract import Stored

NAME: Final = "manifest.json"
VERSION: Final = 1
FOLDERS: Final = ("jsonl", "parquet", "state")
DRAFT: Final = ".manifest-"
"""What the name of a manifest that does not count yet begins with."""
_EPOCH: Final = re.compile(
    rf"(\d{{8,}})-\d{{8,}}\.(?:jsonl|parquet|state)|{re.escape(DRAFT)}(\d{{8,}})\.json"
)
FIXED: Final = (
    *("kind", "calendar", "ts", "end", "day", "granularity_ms", "records", "cnt", "partial"),
    *("approximate", "error", "groups", "groups_dropped"),
)
"""Names of columns that no group or measure may have: the columns that are always there, and the key that
tools make of the name of a folder."""

ColumnType = Literal["text", "integer", "double"]


class File(msgspec.Struct, frozen=True):
    """A file, or as much of it as counts."""

    path: str
    """From the directory of the manifest."""
    bytes: int
    """More may be in it: that does not count."""
    records: int
    publications: int = 1
    """How many it is of."""


Files = tuple[File, ...]
"""In order of publication."""


class Day(msgspec.Struct, frozen=True):
    """What is published of a UTC day."""

    jsonl: Files = ()
    parquet: Files = ()


class Column(msgspec.Struct, frozen=True):
    """A column of Parquet files beside those that are always there."""

    name: str
    of: Literal["group", "measure"]
    field: str
    """The path of the group, or the name of the measure."""
    type: ColumnType


Columns = tuple[Column, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A state of the directory."""

    v: int = VERSION
    group: str
    """Whose results these are."""
    epoch: int = 0
    """Raised by everybody who begins to publish."""
    commit: int = 0
    """Raised by each publication."""
    records: int = 0
    """How many were ever published."""
    through_ms: int | None = None
    """The end of the last window that is published."""
    columns: Columns = ()
    checkpoints: Stored = {}
    state: Files = ()
    state_bytes: int = 0
    """How large it was when it was last written anew."""
    days: dict[str, Day] = {}
    """By date, in ISO 8601."""

    @property
    def paths(self) -> Iterator[str]:
        """All files that count."""
        for day in self.days.values():
            yield from (file.path for file in (*day.jsonl, *day.parquet))
        yield from (file.path for file in self.state)


class Epoch(msgspec.Struct, frozen=True):
    """What a leader looks at before it commits."""

    epoch: int


def columns_of(decode: DecodeSettings) -> Columns:
    """Of measures, then of groups; one whose name is taken has what it is in front: ``group.day``."""
    taken = set(FIXED)

    def name(of: str, field: str) -> str:
        while field in taken:
            field = f"{of}.{field}"
        taken.add(field)
        return field

    measures = [
        Column(
            name("measure", one.name),
            "measure",
            one.name,
            "integer" if one.op in ("count", "uniques") else "double",
        )
        for one in decode.measures
    ]
    return *measures, *(Column(name("group", path), "group", path, "text") for path in decode.group_by)


def encode(manifest: Manifest) -> bytes:
    """As it is written."""
    return msgspec.json.encode(manifest)


def decode(written: bytes, name: str) -> Manifest:
    """Raises PlaceError if that is none of this version; ``name``: of the directory, for that."""
    try:
        manifest = msgspec.json.decode(written, type=Manifest)
    except msgspec.DecodeError as error:
        raise PlaceError(
            f"{name} has a damaged {NAME}: restore it, or give another directory ({error})."
        ) from error
    if manifest.v != VERSION:
        raise PlaceError(f"{name} was written by another version of streamagg: use that one.")
    return manifest


def read_manifest(directory: Path) -> Manifest | None:
    """What a directory holds; None: nobody has published to it. Raises PlaceError or OSError."""
    try:
        return decode((directory / NAME).read_bytes(), f"The directory {directory}")
    except FileNotFoundError:
        return None


def draft_of(epoch: int) -> str:
    """That of a leader."""
    return f"{DRAFT}{epoch:08d}.json"


def epoch_of(path: str) -> int | None:
    """Of the leader that wrote a file; None: it is no file of a leader."""
    match = _EPOCH.fullmatch(path.rpartition("/")[2])
    return None if match is None else int(match[1] or match[2])
