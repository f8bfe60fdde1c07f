"""Groups of records: texts that name them, and how these travel."""

from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
from xxhash import xxh3_64_intdigest

from streamagg.model.columns import UInt32Column, UInt64Column

MAX_GROUP_BYTES: Final = 256
"""UTF-8 of one value of a group; docs/decoding.md promises it."""
_CHECK: Final = 0x9E3779B97F4A7C15
"""Makes a second hash of the same text, for two texts whose first is the same."""


def group_text(values: Iterable[str | None]) -> bytes:
    """The text of a group: its values as a compact array of JSON, ``["DE",null]``."""
    return orjson.dumps(list(values))


def group_id(text: bytes, seed: int = 0) -> int:
    """What rows carry in place of the text: uint64."""
    return xxh3_64_intdigest(text, seed)


def group_check(text: bytes, seed: int = 0) -> int:
    """Another hash of it: uint64."""
    return xxh3_64_intdigest(text, seed ^ _CHECK)


class GroupTexts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The groups that some rows are in, each once; columns of shape ``(n,)`` as raw bytes.

    Whatever carries rows from one process to another carries their texts, so that nobody has to remember
    texts of groups that may never come again.
    """

    ids: bytes = b""
    """uint64."""
    checks: bytes = b""
    """uint64."""
    lengths: bytes = b""
    """uint32: bytes of each text."""
    text: bytes = b""
    """All texts, one behind the other."""

    def __len__(self) -> int:
        return len(self.ids) // 8

    @property
    def id_column(self) -> UInt64Column:
        """Shape ``(n,)``; nothing is copied."""
        return np.frombuffer(self.ids, np.uint64)

    @property
    def check_column(self) -> UInt64Column:
        """Shape ``(n,)``; nothing is copied."""
        return np.frombuffer(self.checks, np.uint64)

    @property
    def length_column(self) -> UInt32Column:
        """Shape ``(n,)``; nothing is copied."""
        return np.frombuffer(self.lengths, np.uint32)

    @property
    def nbytes(self) -> int:
        """Memory of the columns."""
        return len(self.ids) + len(self.checks) + len(self.lengths) + len(self.text)

    def texts(self) -> list[bytes]:
        """In the order of the columns."""
        ends = np.cumsum(self.length_column, dtype=np.int64).tolist()
        return [self.text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def selected(self, places: npt.NDArray[np.intp]) -> "GroupTexts":
        """Some of them, in the order of these places."""
        ends = np.cumsum(self.length_column, dtype=np.int64)
        starts, text = (ends - self.length_column)[places].tolist(), self.text
        chosen = [text[start:end] for start, end in zip(starts, ends[places].tolist(), strict=True)]
        return GroupTexts(
            self.id_column[places].tobytes(),
            self.check_column[places].tobytes(),
            self.length_column[places].tobytes(),
            b"".join(chosen),
        )


NO_TEXTS: Final = GroupTexts()
Tables = tuple[GroupTexts, ...]
"""Of texts: what some rows are in is in one of them at least."""


def joined(tables: Iterable[GroupTexts]) -> GroupTexts:
    """One behind the other."""
    known = list(tables)
    return GroupTexts(
        b"".join([table.ids for table in known]),
        b"".join([table.checks for table in known]),
        b"".join([table.lengths for table in known]),
        b"".join([table.text for table in known]),
    )


def each_once(tables: Iterable[GroupTexts]) -> GroupTexts:
    """All groups, ascending by id; both of two that have one id, so that whoever looks finds out."""
    known = joined(tables)
    order = np.argsort(known.id_column)
    ids, checks = known.id_column[order], known.check_column[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (ids[1:] != ids[:-1]) | (checks[1:] != checks[:-1])
    return known.selected(order[first])


def named(tables: Iterable[GroupTexts], wanted: UInt64Column) -> GroupTexts:
    """What tables say of these groups, shape ``(n,)``, in their order; what is in no table is left out."""
    known = joined(tables)
    if not len(known):
        return NO_TEXTS
    ids = known.id_column
    order = np.argsort(ids)
    at = np.searchsorted(ids[order], wanted)
    at[at == len(ids)] = 0
    places = order[at]
    return known.selected(places[ids[places] == wanted])


def _lengths(texts: Iterable[bytes]) -> bytes:
    return np.array([len(text) for text in texts], np.uint32).tobytes()


def texts_of(texts: Iterable[bytes], seed: int = 0) -> GroupTexts:
    """A table of these texts, each different from the others."""
    known = list(texts)
    return GroupTexts(
        np.array([group_id(text, seed) for text in known], np.uint64).tobytes(),
        np.array([group_check(text, seed) for text in known], np.uint64).tobytes(),
        _lengths(known),
        b"".join(known),
    )
