"""What a file of a directory holds, by its name, and how much room a log keeps for it.

The offsets of a file are its bytes, those of a compressed file its bytes unpacked. How many that will be is
known only behind its end; so that nobody has to unpack a file to find the next one, it is given as many
offsets as it could need at most:

- gzip packs no more than 1,032 bytes into one (RFC 1951: 258 of them are a length and a distance of a bit
  each);
- a Zstandard block takes 4 bytes or more and holds 128 KiB at most (RFC 8878, 3.1.1.2).
"""

from typing import Final, NamedTuple

UNFINISHED: Final = ".part"
"""What names of files end with that are being written."""


class Form(NamedTuple):
    """What is in a file."""

    csv: bool
    """Else it is JSON lines."""
    shift: int
    """Of compressed files: a byte on the disk is so many offsets, as a power of two."""

    @property
    def whole(self) -> bool:
        """One reader has to read it, from its front."""
        return self.csv or bool(self.shift)

    def room(self, size: int) -> int:
        """Offsets of a finished file with so many bytes on the disk. Its last line may lack its end."""
        return (size << self.shift) + 1


_SHIFTS: Final = {".gz": 11, ".zst": 15}
_PACKED: Final = tuple(_SHIFTS)
_LINES: Final = Form(csv=False, shift=0)
_CSV: Final = Form(csv=True, shift=0)


def is_record_file(name: str) -> bool:
    """Whether it is read at all."""
    return not name.startswith(".") and not name.endswith(UNFINISHED)


def form_of(name: str) -> Form:
    """Nothing is looked into for that."""
    if not name.endswith(_PACKED):
        # A tree may have a million of these.
        return _CSV if name.endswith(".csv") else _LINES
    stem, dot, ending = name.rpartition(".")
    return Form(stem.endswith(".csv"), _SHIFTS[dot + ending])
