"""What is published to a directory, and what keeps it right.

A publication:

1. write files that nobody else writes to, for their names carry the epoch, or behind what counts of them
2. write the new manifest beside the old one, under a name with the epoch
3. make all of it last (fsync), and the folders that files are new in
4. take the lock; read the epoch of the manifest: somebody has begun after this one if it is another
5. give the new manifest the name of the old one, and the lock back; make the name last
6. remove later what the manifest does not name any more

Whoever begins raises the epoch in the same way. So a leader that was replaced, stopped wherever it was, may
write what it likes when it wakes up: the manifest does not name it. Nobody is between the look at the epoch
and the new name while another one is; the kernel takes the lock from whoever dies there. Whoever is stopped
there makes its successor wait, so that nothing is done there that takes long.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic, time
from typing import Final

import msgspec

from streamagg import faults
from streamagg.core import checkpoint
from streamagg.core.windows import Windows
from streamagg.errors import PlaceError
from streamagg.events import Log
from streamagg.model.measured import PublisherNumbers
from streamagg.model.results import WindowTable
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Publication, PublishFailed, State, Stored
from streamagg.sinks.directory import manifest as manifests
from streamagg.sinks.directory import merging, state
from streamagg.sinks.directory.epoch_files import EpochFiles
from streamagg.sinks.directory.files import FileSystem
from streamagg.sinks.directory.manifest import Columns, Day, Epoch, Manifest
from streamagg.sinks.directory.parquet import Rows, merged
from streamagg.sinks.directory.refusal import refused
from streamagg.sinks.json_records import render
from streamagg.sinks.publisher_thread import failure_of

_REMOVED_AFTER_S: Final = 600.0
"""For whoever still reads by a manifest of before."""

log = Log(__name__)


class Output:
    """Implements ``sinks.publisher_thread.Output``."""

    def __init__(
        self,
        settings: RunSettings,
        name: str,
        files: FileSystem,
        signature: str,
        confirm: Callable[[], object],
        at: Callable[[faults.Point], None],
        numbers: PublisherNumbers,
    ) -> None:
        """``name``: of the directory, for messages. For the others see ``sinks.contract.Sink.publisher``."""
        self.name = name
        self._settings = settings
        self._windows = Windows(settings.window)
        self._files = files
        self._signature = signature
        self._confirm = confirm
        self._at = at
        self._numbers = numbers
        self._columns: Columns = manifests.columns_of(settings.decode)
        self._manifest = Manifest(group=settings.kafka.group, columns=self._columns)
        self._newest = ""
        """The greatest day of the last publication."""
        self._obsolete: deque[tuple[float, str]] = deque()
        """What is to be removed, and when."""
        if settings.window.calendars:
            numbers.state_bytes = numbers.state_bytes or 0

    def open(self, waiting: Callable[[], bool]) -> None:
        """Shut out every leader before, and clear away what they have left; see ``publisher_thread``."""
        try:
            with self._files.locked(waiting) as alone:
                if not alone:
                    return
                found = stored(self._files, self.name) or self._manifest
                refuse_other(found, self._settings, self.name)
                self._manifest = msgspec.structs.replace(found, epoch=found.epoch + 1)
                self._own = EpochFiles(self._files, self._manifest.epoch)
                self._files.replace(self._draft(self._manifest), manifests.NAME)
                self._files.sync_folder("")
            self._newest = max(self._manifest.days, default="")
            self._clear()
        except OSError as error:
            raise refused(error, self.name) from error

    def publish(self, publication: Publication, submitted_s: float) -> None:
        """In the steps of the module's docstring; raises what went wrong, for ``failure`` to name."""
        self._confirm()
        try:
            self._write(publication, submitted_s)
        except FileNotFoundError:
            # Whoever has begun since has cleared it away.
            self._require_epoch()
            raise

    def _write(self, publication: Publication, submitted_s: float) -> None:
        self._at("before-begin")
        try:
            drafted = self._drafted(publication)  # 1
            self._at("after-produce")
            self._own.sync()  # 3
            draft = self._draft(drafted)  # 2, 3
        except OSError:
            self._make_room()
            raise
        if publication.windows:
            self._numbers.times.took("publish", monotonic() - submitted_s)
        self._at("before-offsets")
        began = monotonic()
        self._at("before-commit")
        with self._files.locked(lambda: True):
            self._require_epoch()  # 4
            self._files.replace(draft, manifests.NAME)  # 5
        self._files.sync_folder("")
        self._committed(drafted, publication, began)
        self._at("after-commit")
        self._remove()  # 6

    def failure(self, cause: Exception) -> Exception:
        """What the session hears of a publication that did not get out."""
        return failure_of(refused(cause, self.name) if isinstance(cause, OSError) else cause)

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """The last ones; nobody else changes them."""
        return chosen(self._manifest.checkpoints, partitions)

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """See ``sinks.contract.LeaderPublisher``."""
        began = monotonic()
        try:
            values = state.in_force(self._manifest.state, self._files.read, alive)
        except OSError as error:
            raise refused(error, self.name) from error
        self._numbers.restore_s = monotonic() - began
        # Whoever takes them need not hold all of them twice.
        return ((key, values.pop(key)) for key in list(values))

    def serve(self) -> None:
        """Clear away, though nothing is published."""
        self._remove()

    def close(self) -> None:
        """Nothing is held."""

    def _drafted(self, publication: Publication) -> Manifest:
        """The manifest that names what is published, too; the files are written."""
        before = self._manifest
        days = dict(before.days)
        by_day = defaultdict[str, list[WindowTable]](list)
        for table in publication.tables:
            by_day[day_of(self._windows.start_ms(table.window))].append(table)
        records = before.records
        for day, tables in by_day.items():
            days[day], more = self._extended(days.get(day, Day()), day, tables)
            records += more
        through = publication.through
        drafted = msgspec.structs.replace(
            before,
            commit=before.commit + 1,
            records=records,
            through_ms=before.through_ms if through is None else self._windows.start_ms(through + 1),
            checkpoints=before.checkpoints | self._encoded(publication),
            days=self._kept(self._tidied(days, by_day)),
        )
        return self._with_state(drafted, publication.state)

    def _extended(self, day: Day, date: str, tables: Iterable[WindowTable]) -> tuple[Day, int]:
        """A day with some more in it, and how many records these are."""
        rows, lines = Rows(self._windows, self._columns), bytearray()
        for table in tables:
            rows.add(table)
            for _, value in render(self._windows, table, self._settings.decode.group_by):
                lines += value + b"\n"
        jsonl = self._own.extended(day.jsonl, f"jsonl/day={date}", bytes(lines), rows.count)
        added = self._own.made(f"parquet/day={date}", rows.parquet(), rows.count)
        return Day(jsonl, (*day.parquet, added)), rows.count

    def _tidied(self, days: dict[str, Day], published: Iterable[str]) -> dict[str, Day]:
        """Fewer files where there are many."""
        touched = set(published)
        if not touched:
            return days
        newest = max(touched)
        for date in ((touched | {self._newest}) - {newest}) & days.keys():
            for span in merging.of_all(days[date].parquet):
                days[date] = self._merged(date, days[date], span)
        while (last := merging.at_the_end(days[newest].parquet)) is not None:
            days[newest] = self._merged(newest, days[newest], last)
        self._newest = newest
        return days

    def _merged(self, date: str, day: Day, span: merging.Span) -> Day:
        begin, end = span
        several = day.parquet[begin:end]
        content = merged((self._files.read(file.path) for file in several), self._columns)
        counts = sum(file.records for file in several), sum(file.publications for file in several)
        one = self._own.made(f"parquet/day={date}", content, *counts)
        return Day(day.jsonl, (*day.parquet[:begin], one, *day.parquet[end:]))

    def _kept(self, days: dict[str, Day]) -> dict[str, Day]:
        """The days that are kept, in order."""
        keep_ms = self._settings.keep_ms
        if keep_ms is not None and days:
            first = day_of(round(datetime.fromisoformat(f"{max(days)}T00:00Z").timestamp() * 1000) - keep_ms)
            days = {date: day for date, day in days.items() if date >= first}
        return dict(sorted(days.items()))

    def _with_state(self, drafted: Manifest, added: State) -> Manifest:
        if not added:
            return drafted
        if not state.is_due(drafted.state, added, drafted.state_bytes):
            kept = self._own.extended(drafted.state, "state", state.packed(added), len(added))
            return msgspec.structs.replace(drafted, state=kept)
        values = state.in_force(drafted.state, self._files.read)
        state.take(values, added)
        anew = self._own.made("state", state.packed(values.items()), len(values))
        return msgspec.structs.replace(drafted, state=(anew,), state_bytes=anew.bytes)

    def _encoded(self, publication: Publication) -> Stored:
        window, decode = self._settings.window, self._settings.decode
        return {
            partition: (at.state.offset, checkpoint.encode(at, self._signature, window, decode))
            for partition, at in publication.checkpoints.items()
        }

    def _require_epoch(self) -> None:
        if not self._leads():
            raise PublishFailed("another instance has begun to publish")

    def _leads(self) -> bool:
        """Nobody has begun after this one."""
        found = msgspec.json.decode(self._files.read(manifests.NAME), type=Epoch)
        return found.epoch == self._manifest.epoch

    def _draft(self, manifest: Manifest) -> str:
        """A file that lasts, and counts once it has got the name; nobody else writes to it."""
        path = manifests.draft_of(manifest.epoch)
        self._files.remove(path)
        self._files.write(path, 0, manifests.encode(manifest))
        self._files.sync(path)
        return path

    def _committed(self, manifest: Manifest, publication: Publication, began: float) -> None:
        gone = {*self._manifest.paths, *self._own.taken()} - set(manifest.paths)
        self._obsolete += ((monotonic() + _REMOVED_AFTER_S, path) for path in sorted(gone))
        self._manifest = manifest
        numbers = self._numbers
        numbers.committed += 1
        numbers.times.took("commit", monotonic() - began)
        numbers.last_commit_s = time()
        if numbers.state_bytes is not None:
            numbers.state_bytes += sum(len(k) + len(v or b"") for k, v in publication.state)

    def _make_room(self) -> None:
        """Remove at once what does not count, also what was just written: the disk may be full."""
        written = set(self._own.taken()) - set(self._manifest.paths)
        with suppress(OSError):
            for path in (*(path for _, path in self._obsolete), *sorted(written)):
                self._files.remove(path)
            self._obsolete.clear()

    def _remove(self) -> None:
        """What does not count any more, and is not read any more either; whoever begins next tries again."""
        folders: set[str] = set()
        while self._obsolete and self._obsolete[0][0] <= monotonic():
            _, path = self._obsolete.popleft()
            try:
                self._files.remove(path)
                folders.add(path.rpartition("/")[0])
            except OSError as error:
                _tell_removal_failed(error)
        try:
            self._remove_empty(folders)
        except OSError as error:
            _tell_removal_failed(error)

    def _remove_empty(self, folders: Iterable[str]) -> None:
        """Of days that are not kept. Under the lock: whoever begins later may be about to write there."""
        empty = [folder for folder in folders if not self._files.names(folder)]
        if not empty:
            return
        with self._files.locked(lambda: True):
            for folder in empty if self._leads() else ():
                self._files.remove(folder)

    def _clear(self) -> None:
        """Remove what leaders before have written and does not count.

        Only theirs: whoever has begun after this one may be at work already.
        """
        counts = set(self._manifest.paths)
        drafts = (name for name in self._files.names("") if name.startswith(manifests.DRAFT))
        for path in (*_all_files(self._files), *drafts):
            epoch = manifests.epoch_of(path)
            if epoch is not None and epoch < self._manifest.epoch and path not in counts:
                self._files.remove(path)
        for day in self._manifest.days.values():
            for file in day.jsonl:
                # What is behind would be read by whoever asks no manifest.
                if self._files.size(file.path) > file.bytes:
                    self._files.truncate(file.path, file.bytes)
        self._remove_empty(_day_folders(self._files))


def stored(files: FileSystem, name: str) -> Manifest | None:
    """What a directory holds; None: nobody has published to it. Raises PlaceError or OSError."""
    try:
        return manifests.decode(files.read(manifests.NAME), name)
    except FileNotFoundError:
        if any(manifests.epoch_of(path) is not None for path in _all_files(files)):
            raise PlaceError(
                f"{name} holds files of results, and no {manifests.NAME} that names those that count: restore"
                " it, or give another directory."
            ) from None
        return None


def _all_files(files: FileSystem) -> Iterator[str]:
    for folder in (*manifests.FOLDERS, *_day_folders(files)):
        yield from (f"{folder}/{name}" for name in files.names(folder) if "." in name)


def _day_folders(files: FileSystem) -> list[str]:
    return [f"{kind}/{name}" for kind in manifests.FOLDERS for name in files.names(kind) if "." not in name]


def _tell_removal_failed(error: OSError) -> None:
    log.info("removal_failed", "what does not count any more stays: {error}", error=error)


def refuse_other(found: Manifest, settings: RunSettings, name: str) -> None:
    """Raises PlaceError if the results are of another job, or have other columns."""
    group = settings.kafka.group
    if found.group != group:
        raise PlaceError(
            f"{name} holds the results of the group {found.group}, and this one is {group}: give each group a"
            " directory of its own."
        )
    if found.columns != manifests.columns_of(settings.decode):
        raise PlaceError(
            f"{name} holds results with other groups or measures, which would be other columns: give another"
            " directory."
        )


def chosen(checkpoints: Stored, partitions: Iterable[int]) -> Stored:
    """Those of some partitions."""
    return {number: checkpoints[number] for number in partitions if number in checkpoints}


def day_of(time_ms: int) -> str:
    """The UTC day of a time, in ISO 8601."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).date().isoformat()
