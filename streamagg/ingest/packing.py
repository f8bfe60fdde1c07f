"""Bodies that come compressed, unpacked in steps so small that none of them can fill the memory."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import zstandard

MOST_WINDOW_BYTES: Final = 8 << 20
"""Of Zstandard: what every receiver of HTTP has to support, and no sender may ask for more (RFC 9659)."""
_STEP_BYTES: Final = 256
"""Of which 8 MiB come at the most: 64 blocks of Zstandard, each of 4 bytes or more and up to 128 KiB; of gzip
264 KiB."""


class Unpackable(Exception):
    """What came is not what its encoding says, or is cut short."""


class TooLarge(Exception):
    """More would come out than is allowed."""


class _Unpacker(Protocol):
    """Takes one gzip member or one frame of Zstandard."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Unpacker:
    return zlib.decompressobj(wbits=31)


def _zstd() -> _Unpacker:
    return zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES).decompressobj()


ENCODINGS: Final[Mapping[bytes, Callable[[], _Unpacker]]] = {b"gzip": _gzip, b"x-gzip": _gzip, b"zstd": _zstd}
"""By their names in Content-Encoding."""


def unpack(packed: bytes, encoding: bytes, most_bytes: int) -> bytes:
    """What was packed: any number of members or frames, one behind the other.

    Raises Unpackable and TooLarge.
    """
    begin = ENCODINGS[encoding]
    found = bytearray()
    rest = memoryview(packed)
    try:
        while rest:
            rest = _one(begin(), rest, found, most_bytes)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Unpackable(str(error)) from error
    return bytes(found)


def _one(unpacker: _Unpacker, packed: memoryview, found: bytearray, most_bytes: int) -> memoryview:
    """Unpack one member or frame; returns what follows it."""
    for start in range(0, len(packed), _STEP_BYTES):
        found += unpacker.decompress(bytes(packed[start : start + _STEP_BYTES]))
        if len(found) > most_bytes:
            raise TooLarge
        if unpacker.eof:
            end = min(start + _STEP_BYTES, len(packed)) - len(unpacker.unused_data)
            return packed[end:]
    raise Unpackable("it is cut short")
