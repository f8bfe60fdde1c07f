"""State of open periods in files that only grow: keys and values, one behind the other.

Each is::

    bytes of the key     uint32
    bytes of the value   int32, -1: removed
    key, value

A value that takes the place of another, or a removal, is written behind it, so that a publication writes
what it changes. When the files have twice the size that they had when they were last written anew, what is in
force is written anew: each byte of state about twice, and half of what is kept may be out of force.
"""

from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import Final

from streamagg.errors import CheckpointError
from streamagg.sinks.contract import State
from streamagg.sinks.directory.manifest import Files

_SIZES: Final = Struct("<Ii")
_REMOVED: Final = -1
_SPARE_BYTES: Final = 16 << 20
"""So much out of force is left alone whatever there is."""
_MOST_FILES: Final = 16
"""Each leader begins one."""


def packed(state: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    """As it is written."""
    parts: list[bytes] = []
    for key, value in state:
        parts += (_SIZES.pack(len(key), _REMOVED if value is None else len(value)), key, value or b"")
    return b"".join(parts)


def unpacked(written: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """What was packed; raises CheckpointError if it is damaged."""
    at, end = 0, len(written)
    while at < end:
        if at + _SIZES.size > end:
            raise _damaged()
        key_bytes, value_bytes = _SIZES.unpack_from(written, at)
        begin = at + _SIZES.size + key_bytes
        at = begin + max(value_bytes, 0)
        if at > end:
            raise _damaged()
        yield written[begin - key_bytes : begin], None if value_bytes < 0 else written[begin:at]


def in_force(
    files: Files, read: Callable[[str], bytes], alive: Callable[[], object] = lambda: None
) -> dict[bytes, bytes]:
    """The last value of each key, in the order in which they were published; ``alive`` is called often."""
    values: dict[bytes, bytes] = {}
    for file in files:
        content = read(file.path)
        alive()
        if len(content) < file.bytes:
            raise _damaged()
        take(values, unpacked(content[: file.bytes]), alive)
    return values


_CALL_EVERY: Final = 10_000


def take(
    values: dict[bytes, bytes],
    records: Iterable[tuple[bytes, bytes | None]],
    alive: Callable[[], object] = lambda: None,
) -> None:
    """A key that comes again comes behind all others."""
    for number, (key, value) in enumerate(records):
        if number % _CALL_EVERY == 0:
            alive()
        values.pop(key, None)
        if value is not None:
            values[key] = value


def is_due(files: Files, more: State, written_anew_bytes: int) -> bool:
    """The files are to be written anew."""
    grown = sum(file.bytes for file in files) > 2 * written_anew_bytes + _SPARE_BYTES
    return bool(more) and (grown or len(files) >= _MOST_FILES)


def _damaged() -> CheckpointError:
    return CheckpointError(
        "the files of the state of open periods are damaged; restore them, or start anew with --from earliest"
    )
