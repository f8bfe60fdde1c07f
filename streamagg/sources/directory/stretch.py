"""What a lease tells its reader of the files that it goes through, so that a reader looks for none."""

import msgspec

from streamagg.sources.contract import Stretch


class Piece(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A file of a lease."""

    name: str
    base: int
    """The offset of its front."""
    size: int
    """Bytes on the disk that are to be read; a line may end behind the lease."""
    inode: int
    modified_ns: int
    finished: bool
    """It is at its end there, if its last line ends or not."""


class Way(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """All files of a lease."""

    directory: str
    pieces: list[Piece]
    last: bool
    """Nothing follows, as far as is known."""


def encode(stop: int, way: Way) -> Stretch:
    """With the end of the lease."""
    return Stretch(stop, msgspec.msgpack.encode(way))


_decoder = msgspec.msgpack.Decoder(Way)


def decode(where: bytes) -> Way:
    """What ``encode`` was given."""
    return _decoder.decode(where)
