"""Into files of JSON lines that ``--input dir:PATH`` reads, in order of their names.

::

    PATH/worker-0/2026-01-31T12-00-00.123Z.jsonl        finished: readers take it
    PATH/worker-0/2026-01-31T12-00-01.125Z.jsonl.part   written to, renamed when it is old or large enough
    PATH/worker-0/.last                                 the last name given, so that the next one is behind it

A write is followed by one fsync for all bodies in it, and these are acknowledged then. After a crash the
``.part`` is cut behind its last whole line and renamed: what was acknowledged is in it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Final

from streamagg.errors import SettingsError
from streamagg.ingest.destinations.contract import Body, NotWritten

SUFFIX: Final = ".jsonl"
PART: Final = ".part"
MOST_FILE_BYTES: Final = 64 << 20
LOCK: Final = ".ingest.lock"
_LAST: Final = ".last"
_STEP_BYTES: Final = 1 << 16


class Directory:
    """Implements ``Destination``; the files of one worker."""

    def __init__(self, path: Path, roll_ms: int, clock: Callable[[], float] = time) -> None:
        """``roll_ms``: the age at which a file is finished. ``clock`` returns Unix time.

        Raises OSError.
        """
        path.mkdir(parents=True, exist_ok=True)
        finish_left_over(path)
        self._path = path
        self._roll_s = roll_ms / 1_000
        self._clock = clock
        self._last_ms = _last_ms(path)
        self._file: _File | None = None
        self._well = True

    def write(self, bodies: Sequence[Body]) -> None:
        """All of them, in order; raises NotWritten."""
        lines = b"".join([b"\n".join(body.records) + b"\n" for body in bodies if body.records])
        try:
            if self._file is None:
                self._file = self._begin()
            self._file.append(lines)
        except OSError as error:
            self._give_up()
            raise NotWritten(f"The file could not be written: {error.strerror}.") from error
        self._well = True
        if self._file.size >= MOST_FILE_BYTES:
            self._finish()

    def tidy(self) -> None:
        """Finish a file that is old enough; raises NotWritten while nothing can be written."""
        if not self._well:
            self._try()
        if self._file is not None and self._clock() >= self._file.began_s + self._roll_s:
            self._finish()

    def close(self) -> None:
        """Finish the last file."""
        self._finish()

    def _begin(self) -> "_File":
        self._last_ms = max(int(self._clock() * 1_000), self._last_ms + 1)
        name = name_of(self._last_ms)
        note = self._path / f"{_LAST}{PART}"
        note.write_text(name, "ascii")
        note.rename(self._path / _LAST)
        return _File(self._path / name, self._clock())

    def _finish(self) -> None:
        """Raises NotWritten; what is in the file then is finished when something can be written again."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.finish()
        except OSError as error:
            self._well = False
            raise NotWritten(f"The file could not be finished: {error.strerror}.") from error

    def _try(self) -> None:
        probe = self._path / f".probe{PART}"
        try:
            probe.write_bytes(bytes(_STEP_BYTES))
            probe.unlink()
            finish_left_over(self._path)
        except OSError as error:
            raise NotWritten(f"Nothing can be written to {self._path}: {error.strerror}.") from error
        self._well = True

    def _give_up(self) -> None:
        """What was acknowledged before stays; the rest of the file is not known to be there."""
        self._well = False
        with suppress(NotWritten):
            self._finish()


class _File:
    """One that is written to."""

    def __init__(self, final: Path, began_s: float) -> None:
        self._final = final
        self._part = final.with_name(final.name + PART)
        self.began_s = began_s
        self.size = 0
        """Of what is on the disk for good."""
        self._descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        _sync(final.parent)

    def append(self, lines: bytes) -> None:
        """Returns when it is on the disk. Raises OSError; then ``finish`` cuts off what may be there."""
        left = memoryview(lines)
        while left:
            left = left[os.write(self._descriptor, left) :]
        os.fdatasync(self._descriptor)
        self.size += len(lines)

    def finish(self) -> None:
        """Rename it, or remove it if nothing is in it. Raises OSError."""
        try:
            os.ftruncate(self._descriptor, self.size)
            os.fdatasync(self._descriptor)
        finally:
            os.close(self._descriptor)
        if self.size:
            self._part.rename(self._final)
        else:
            self._part.unlink()
        _sync(self._final.parent)


def folder_of(path: Path, worker: int) -> Path:
    """Of the files of a worker."""
    return path / f"worker-{worker}"


@contextmanager
def prepared(path: str) -> Iterator[None]:
    """The directory is there, nobody else's while the context lasts, and nothing is left over in it.

    Raises SettingsError.
    """
    place = Path(path)
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(f"--output dir:{path} cannot be used: {error.strerror}.") from error
    try:
        _lock(descriptor, path)
        try:
            _finish_all(place)
            yield
        finally:
            # Of a worker that was killed when no other could take its place any more.
            _finish_all(place)
    finally:
        os.close(descriptor)


def _finish_all(place: Path) -> None:
    for folder in place.glob("worker-*"):
        finish_left_over(folder)


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError(
            f"Another streamagg ingest writes to {path}: give each its own directory."
        ) from None


def name_of(time_ms: int) -> str:
    """The name of a file that begins then; names are in order as times are."""
    moment = datetime.fromtimestamp(time_ms // 1_000, UTC)
    return f"{moment:%Y-%m-%dT%H-%M-%S}.{time_ms % 1_000:03d}Z{SUFFIX}"


def _time_of(name: str) -> int:
    """The opposite; 0 for other names."""
    try:
        moment = datetime.strptime(name, f"%Y-%m-%dT%H-%M-%S.%f%z{SUFFIX}")
    except ValueError:
        return 0
    return round(moment.timestamp() * 1_000)


def _last_ms(path: Path) -> int:
    """The time of the last name that was given, even if that file was moved away or the clock went back."""
    note = path / _LAST
    noted = _time_of(note.read_text("ascii", "replace")) if note.exists() else 0
    return max([noted, *(_time_of(one.name) for one in path.glob(f"*{SUFFIX}"))])


def finish_left_over(path: Path) -> None:
    """Finish the files of a worker that was killed. Raises OSError."""
    for part in sorted(path.glob(f"*{SUFFIX}{PART}")):
        with part.open("r+b") as file:
            file.truncate(_whole_lines(file.fileno()))
            os.fdatasync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        if size:
            part.rename(part.with_name(part.name.removesuffix(PART)))
        else:
            part.unlink()
        _sync(path)


def _whole_lines(descriptor: int) -> int:
    """Bytes up to the last line end."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _STEP_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _sync(path: Path) -> None:
    """So that names are on the disk, too."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
