"""The files of one leader: their names carry its epoch, so that nobody else writes to them."""

from streamagg.sinks.directory.files import FileSystem
from streamagg.sinks.directory.manifest import File, Files, epoch_of


class EpochFiles:
    """Writes them, and makes them last all at once."""

    def __init__(self, files: FileSystem, epoch: int) -> None:
        self._files = files
        self._epoch = epoch
        self._number = 0
        self._written: set[str] = set()
        self._folders: set[str] = set()
        """Where there are new names."""
        self._made: list[str] = []

    def extended(self, files: Files, folder: str, content: bytes, records: int) -> Files:
        """The same with more behind them: in the last one if it is of this leader, else in a new one."""
        if not files or epoch_of(files[-1].path) != self._epoch:
            return *files, self.made(folder, content, records)
        last = files[-1]
        self._write(last.path, last.bytes, content)
        size = last.bytes + len(content)
        longer = File(last.path, size, last.records + records, last.publications + 1)
        return *files[:-1], longer

    def made(self, folder: str, content: bytes, records: int, publications: int = 1) -> File:
        """A new file."""
        self._make_folders(folder)
        self._number += 1
        kind = folder.partition("/")[0]
        path = f"{folder}/{self._epoch:08d}-{self._number:08d}.{kind}"
        self._folders.add(folder)
        self._made.append(path)
        self._write(path, 0, content)
        return File(path, len(content), records, publications)

    def sync(self) -> None:
        """All that was written lasts from now on; a folder after what is in it."""
        for path in sorted(self._written):
            self._files.sync(path)
        for folder in sorted(self._folders, reverse=True):
            self._files.sync_folder(folder)
        self._written.clear()
        self._folders.clear()

    def taken(self) -> list[str]:
        """All files that were made since the last call, also those that others were made of at once."""
        made, self._made = self._made, []
        return made

    def _write(self, path: str, offset: int, content: bytes) -> None:
        self._files.write(path, offset, content)
        self._written.add(path)

    def _make_folders(self, folder: str) -> None:
        """And those that it is in; "" is there."""
        if not folder:
            return
        above = folder.rpartition("/")[0]
        self._make_folders(above)
        if self._files.make_folder(folder):
            self._folders.add(above)
