"""Builds the shim and sets the clock of the processes that run with it."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parent / "shifted_clock.c"
_SECOND_NS: Final = 1_000_000_000


def compiler() -> str | None:
    """Path of the C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc")


class ShiftedClock:
    """The wall clock of all processes that are started with ``env``, and of their children."""

    def __init__(self, directory: Path) -> None:
        """Builds the shim there; the clock is right at first. Raises AssertionError without a compiler."""
        found = compiler()
        assert found is not None, "not run: there is no C compiler to build the shifted clock with"
        library = directory / "shifted_clock.so"
        flags = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-ldl")
        subprocess.run([found, "-o", library, SOURCE, *flags], check=True)
        offset = directory / "offset"
        offset.write_bytes(bytes(8))
        with offset.open("r+b") as file:
            self._offset = mmap.mmap(file.fileno(), 8)
        self.env: Final = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(offset)}

    def set(self, ahead_s: float) -> None:
        """From here on the clock is ahead of the true one by so much (behind it, if negative)."""
        struct.pack_into("q", self._offset, 0, round(ahead_s * _SECOND_NS))
