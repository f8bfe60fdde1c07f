"""One log of the files of a directory: which offsets are whose.

The problem. The engine wants integers that ascend along a log, leases ranges of them, and stores one. What
there is instead are files that others write, rename, cut and remove while they are read, by several
processes and over many starts.

The rules.

1. Files are put in order of their names (as text, by code points). Each gets the offsets behind those of the
   file before: a byte is an offset, and what stands in for a newline at its end another one. A compressed
   file gets as many as it could need (``forms``).
2. A file gets its offsets once, in one process: the leader's. Its readers are told with each lease which
   files it goes through (``stretch``), and look for none. So two processes that see different files cannot
   take the same offset for different bytes.
3. The last file may grow. It is finished once a later one is there and it was not written to for the settle
   time; only then has the later one its offsets. A file that is to be read as a whole (compressed, CSV) gets
   them when it was not written to for so long itself.
4. What is read of the last file ends behind a newline, or behind a whole document: a line that is being
   written is no record.
5. A name counts once. What is written under it when its place in the log is over is told, and not counted.

A place is stored as offset, name and byte (``mark``). After a start the file of the first place that is
needed has the offset that it had, and those behind it follow by the same rules.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from streamagg.events import Log
from streamagg.model.measured import ClientNumbers
from streamagg.sources.contract import Stretch
from streamagg.sources.directory import stretch
from streamagg.sources.directory.content import NOTHING, digest_of, whole_lines
from streamagg.sources.directory.disk import Disk, Stat, below
from streamagg.sources.directory.forms import Form, form_of, is_record_file
from streamagg.sources.directory.mark import CHANGED, HASHED_BYTES, Mark
from streamagg.sources.directory.skipped import Why, tell_skipped
from streamagg.sources.directory.stretch import Piece, Way
from streamagg.sources.directory.table import FileTable

MOST_FILES: Final = 1_000
"""In a lease: their names travel with it."""

log = Log(__name__)


class DirectoryLog:
    """Of one directory."""

    def __init__(
        self, disk: Disk, root: str, at: Mark, settle_ms: int, numbers: ClientNumbers, done: str | None = None
    ) -> None:
        """``at``: where it begins. ``done``: the folder to which files go that are counted."""
        self.directory = at.directory
        self._disk = disk
        self._path = below(root, at.directory)
        self._settle_ms = settle_ms
        self._numbers = numbers
        self._done = done
        self._files = FileTable()
        self._seen: dict[str, int] = {}
        """Inodes of all files there are, by name."""
        self._pending: list[str] = []
        """Those without offsets, the last first."""
        self._at: Mark | None = at if at.name else None
        """What is still to be compared with the file that is there."""
        self._dead: set[int] = set()
        """The offsets of files of which nothing more is read."""
        self._changed_ns = at.changed_ns
        self._next = at.ahead
        """The offset of the next file; while the last one is open nobody has got it."""
        self._open: Stat | None = None
        """The last file, if it may grow, as last seen."""
        self._end = self._next
        self._known: tuple[int, int] = (0, 0)
        """Bytes of the last file that were looked at, and of those what readers get."""
        self._looked_through: tuple[tuple[str, int], int] = (("", 0), 0)
        """Of a file that waits, by name and inode: its whole records by now end at this byte."""
        self._front = (0, NOTHING)
        """So many bytes of the front of the last file have this digest."""
        self._watched: tuple[str, Stat] | None = None
        self._watched_ms = 0
        self._committed = 0
        self._covered: list[str] = []
        """Files that are to be moved."""

    @property
    def begin(self) -> int:
        """The first offset."""
        return self._files.bases[0] if len(self._files) else self._next

    @property
    def end(self) -> int:
        """Behind the last record that readers get to."""
        return self._end

    def holds(self, mark: Mark) -> bool:
        """The place is one of this log, as it stands."""
        if mark.directory != self.directory:
            return False
        if not mark.name:
            return not len(self._files) or self._files.bases[0] == mark.ahead
        index = self._files.find(mark.base)
        return index >= 0 and (self._files.names[index], self._files.bases[index]) == (mark.name, mark.base)

    def look(self, files: Mapping[str, int] | None, now_ms: int) -> None:
        """Give offsets to what has come; ``files``: inodes by name, None if they are the same as before."""
        self._drop_finished()
        if files is not None:
            self._note(files)
        self._note_growth()
        while self._pending and self._give_offsets(now_ms):
            pass
        self._measure(now_ms)

    def log_end(self, now_ms: int) -> int:
        """Behind every whole record that is there, whether readers get to it or not."""
        if self._pending:
            stats = [(name, found) for name in self._pending if (found := self._stat(name)) is not None]
            begin = self._next if self._open is None else self._behind_last(self._open.size)
            rooms = (form_of(name).room(found.size) for name, found in stats[1:])
            return begin + sum(rooms) + sum(self._room_of_last(name, found) for name, found in stats[:1])
        if self._open is None or self._is_settled(self._files.names[-1], self._open, now_ms):
            return self._end
        return self._files.bases[-1] + self._whole_by_now(self._files.names[-1], self._known[1], self._open)

    def _room_of_last(self, name: str, found: Stat) -> int:
        """Nothing stands in for a newline at its end while nothing follows."""
        form = form_of(name)
        return form.room(found.size) if form.shift else self._whole_by_now(name, 0, found)

    def _whole_by_now(self, name: str, begin: int, found: Stat) -> int:
        """As ``_whole``; a file that grows is looked through once, however often that is asked."""
        seen, at = self._looked_through
        if seen == (name, found.inode) and at <= found.size:
            begin = max(begin, at)
        whole = self._whole(name, begin, found)
        self._looked_through = (name, found.inode), whole
        return whole

    def stretch(self, start: int, most: int, limit: int) -> Stretch:
        """A lease from ``start`` on, of about ``most`` bytes on the disk, no further than ``limit``."""
        limit = min(limit, self._end)
        pieces, stop, left, index = list[Piece](), start, most, self._files.find(start)
        while stop < limit and left > 0 and len(pieces) < MOST_FILES:
            until = self._until(index)
            size = self._files.sizes[index]
            if self._is_over(index, stop):
                stop = until
            elif form_of(self._files.names[index]).whole:
                pieces.append(self._piece(index))
                stop, left = until, left - size
            else:
                pieces.append(self._piece(index))
                reached = min(until, limit, stop + left)
                stop, left = reached, left - (reached - stop)
            index += 1
        return stretch.encode(stop, Way(self.directory, pieces, stop >= self._end))

    def mark(self, offset: int) -> Mark:
        """What to remember of a place."""
        index = self._files.find(offset)
        if index < 0:
            return Mark(self.directory, changed_ns=self._changed_ns, ahead=self._next)
        name, base, size = self._files.names[index], self._files.bases[index], self._files.sizes[index]
        seen = (size, self._files.inodes[index], *self._front_of(index), self._changed_ns)
        reach = (max(self._end, self._next), len(self._files) - index - 1)
        return Mark(self.directory, name, self._files.names[-1], base, offset - base, *seen, *reach)

    def _front_of(self, index: int) -> tuple[int, str]:
        """So many bytes of the front of a file have this digest; none if it is another one by now."""
        if self._open is not None and index + 1 == len(self._files):
            return self._front
        files, hashed = self._files, min(self._files.sizes[index], HASHED_BYTES)
        found = self._stat(files.names[index])
        identity = (files.inodes[index], files.modified[index])
        if found is None or (found.inode, found.modified_ns) != identity or files.bases[index] in self._dead:
            return hashed, CHANGED
        return hashed, digest_of(self._disk, self._under(files.names[index]), hashed)

    def committed(self, offset: int) -> None:
        """What is before it is not asked for again."""
        self._committed = max(self._committed, offset)

    def _is_over(self, index: int, offset: int) -> bool:
        """Nothing of a file is to be read from an offset on."""
        base = self._files.bases[index]
        read = offset - base >= self._files.sizes[index] and not form_of(self._files.names[index]).shift
        return read or base in self._dead

    def clear_away(self) -> None:
        """Move the files that are counted."""
        covered, self._covered = self._covered, []
        for name in covered:
            self._move(name)

    def _until(self, index: int) -> int:
        """Behind what readers get of a file."""
        return self._files.bases[index + 1] if index + 1 < len(self._files) else self._end

    def _piece(self, index: int) -> Piece:
        files = self._files
        last = self._open is not None and index + 1 == len(files)
        size = self._known[1] if last else files.sizes[index]
        identity = (files.inodes[index], files.modified[index])
        return Piece(files.names[index], files.bases[index], size, *identity, not last)

    def _note(self, files: Mapping[str, int]) -> None:
        """Sort what has come into what is to be read, and what is too late for that."""
        before, self._seen = self._seen, {name: files[name] for name in files if is_record_file(name)}
        fresh = [name for name, inode in self._seen.items() if before.get(name) != inode]
        if self._at is not None:
            self._begin_at(self._at, [name for name in fresh if name < self._at.name])
            fresh = [name for name in fresh if name > self._at.name]
            self._at = None
        last = self._files.names[-1] if len(self._files) else ""
        for name in sorted(name for name in fresh if name <= last):
            self._refuse(name, "replaced" if name in before else "out_of_order")
        later = {name for name in fresh if name > last}
        if later:
            self._pending = sorted(later.union(self._pending), reverse=True)

    def _refuse(self, name: str, why: Why) -> None:
        """Its place is over: what has its offsets is read no more."""
        index = self._files.index(name)
        if index is not None:
            self._dead.add(self._files.bases[index])
        self._skip(name, why, self._end if index is None else self._files.bases[index])

    def _begin_at(self, at: Mark, earlier: Sequence[str]) -> None:
        """Take up the file of a stored place, and see what has become of the others."""
        found = self._stat(at.name)
        why = self._lost(at, found)
        inode, modified_ns = (at.inode, 0) if found is None else (found.inode, found.modified_ns)
        self._files.add(at.name, at.base, at.size, inode, modified_ns)
        self._next, self._known = self._behind_last(at.size), (-1, at.byte)
        if why is not None or found is None:
            self._next = max(self._next, at.ahead)
            self._dead.add(at.base)
        elif not form_of(at.name).shift:
            self._open, self._front = found, (at.hashed, at.digest)
        if why is not None:
            self._skip(at.name, why, at.base + at.byte)
        here = sum(at.name < name <= at.last for name in self._seen)
        for _ in range(at.between - here):
            self._skip(f"(behind {at.name})", "gone", at.base + at.byte)
        for name in earlier:
            self._leave_behind(name, at)

    def _leave_behind(self, name: str, at: Mark) -> None:
        """A file before a stored place is counted if it was there then; what has changed since was not."""
        stat = self._stat(name)
        if stat is not None and stat.changed_ns > at.changed_ns:
            self._skip(name, "out_of_order", at.base)
        elif stat is not None:
            self._put_away(name)

    def _lost(self, at: Mark, found: Stat | None) -> Why | None:
        """Why a file that was begun cannot be read on; None if it can, or is read."""
        form = form_of(at.name)
        if found is None:
            return "gone" if at.byte < (form.room(at.size) if form.shift else at.size) else None
        if found.size < at.size and found.inode == at.inode:
            return "shrank"
        return None if self._begins_as(at.name, at.hashed, at.digest) else "replaced"

    def _begins_as(self, name: str, hashed: int, digest: str) -> bool:
        return digest_of(self._disk, self._under(name), hashed) == digest

    def _note_growth(self) -> None:
        if self._open is None:
            return
        name, known = self._files.names[-1], self._files.sizes[-1]
        found = self._stat(name)
        if found is None or found.inode != self._open.inode:
            self._finish()
        elif found.size < known or (found != self._open and not self._begins_as(name, *self._front)):
            self._refuse(name, "shrank" if found.size < known else "replaced")
            self._finish()
        else:
            self._open = found

    def _give_offsets(self, now_ms: int) -> bool:
        """Those of the next file; False while it has to wait."""
        if self._open is not None:
            if not self._is_settled(self._files.names[-1], self._open, now_ms):
                return False
            self._files.sizes[-1], self._files.modified[-1] = self._open.size, self._open.modified_ns
            self._finish()
        name = self._pending[-1]
        found, form = self._stat(name), form_of(name)
        if found is not None and form.whole and not self._is_settled(name, found, now_ms):
            return False
        self._pending.pop()
        if found is not None:
            self._add(name, found, form)
        return True

    def _add(self, name: str, found: Stat, form: Form) -> None:
        self._files.add(name, self._next, found.size, found.inode, found.modified_ns)
        self._changed_ns = max(self._changed_ns, found.changed_ns)
        if form.shift:
            self._finish()
        else:
            self._open, self._known, self._front = found, (-1, 0), (0, NOTHING)

    def _finish(self) -> None:
        """The last file has its end."""
        self._open = None
        self._next = self._behind_last(self._files.sizes[-1])

    def _behind_last(self, size: int) -> int:
        return self._files.bases[-1] + form_of(self._files.names[-1]).room(size)

    def _measure(self, now_ms: int) -> None:
        """How far readers get."""
        if self._open is None:
            self._end = self._next
            return
        name, found = self._files.names[-1], self._open
        csv = form_of(name).csv
        if found.size != self._known[0] and (not csv or self._is_settled(name, found, now_ms)):
            self._read_on(name, found)
        self._end = self._files.bases[-1] + self._known[1]

    def _read_on(self, name: str, found: Stat) -> None:
        """The last file has grown."""
        self._files.sizes[-1] = found.size
        self._changed_ns = max(self._changed_ns, found.changed_ns)
        hashed = min(found.size, HASHED_BYTES)
        self._front = (hashed, digest_of(self._disk, self._under(name), hashed))
        self._known = (found.size, self._whole(name, self._known[1], found))

    def _whole(self, name: str, begin: int, found: Stat) -> int:
        """Where the whole records of a file end that begin at a byte or later."""
        return whole_lines(self._disk, self._under(name), begin, found.size, csv=form_of(name).csv)

    def _drop_finished(self) -> None:
        """Forget the files that are committed as a whole, or put them away."""
        count = max(0, self._files.find(self._committed))
        for index in range(count):
            self._part_with(index, self._stat(self._files.names[index]))
        self._files.drop(count)

    def _part_with(self, index: int, found: Stat | None) -> None:
        """A file that is committed as a whole is put away, if it is still the same."""
        files = self._files
        if found is None or found.inode != files.inodes[index] or files.bases[index] in self._dead:
            return
        if found.size > files.sizes[index]:
            self._skip(files.names[index], "grew", files.bases[index] + files.sizes[index])
        elif found.modified_ns != files.modified[index]:
            self._skip(files.names[index], "replaced", files.bases[index])
        else:
            self._put_away(files.names[index])

    def _put_away(self, name: str) -> None:
        if self._done is not None:
            self._covered.append(name)

    def _move(self, name: str) -> None:
        if not self._disk.move(self._under(name), f"{self._done}/{name}"):
            log.warning(
                "file_not_moved",
                "{path} is counted, and was not moved: {folder} has a file of that name",
                path=self._under(name),
                folder=self._done,
            )

    def _is_settled(self, name: str, found: Stat, now_ms: int) -> bool:
        """It was not written to for the settle time: by its own time, or because it stayed as it is."""
        if now_ms - found.modified_ns // 1_000_000 >= self._settle_ms:
            return True
        if self._watched != (name, found):
            self._watched, self._watched_ms = (name, found), now_ms
        return now_ms - self._watched_ms >= self._settle_ms

    def _skip(self, name: str, why: Why, offset: int) -> None:
        tell_skipped(self._numbers, self._under(name), why, offset)

    def _stat(self, name: str) -> Stat | None:
        return self._disk.stat(self._under(name))

    def _under(self, name: str) -> str:
        return f"{self._path}/{name}"
