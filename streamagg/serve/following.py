"""The one thread that writes: reads what is published, stores it, tells of it, keeps the store in order."""

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from time import monotonic
from traceback import format_exc
from typing import Final

from streamagg.errors import StreamaggError
from streamagg.events import Log
from streamagg.model.settings import KeepSettings
from streamagg.serve.api.live import Happened, Kind
from streamagg.serve.follow.contract import Delivery, Followed
from streamagg.serve.records import WINDOW, Rows, parse
from streamagg.serve.running import RunningPeriods
from streamagg.serve.standing import Standings
from streamagg.serve.store.blobs import StoreFull
from streamagg.serve.store.layout import DAY_MS, UNION_LENGTHS_MS
from streamagg.serve.store.store import Batch, Horizons, Position, Store
from streamagg.serve.store.unions import unite

POLL_MS: Final = 100
"""What is published is stored this much later, at most, and told."""
UNIONS_S: Final = 0.1
"""So long unions are made between two looks for what is new."""
_AGAIN_S: Final = 1.0
"""After an error."""
_FULL_S: Final = 5.0
"""Until room is looked for again."""
Open = Callable[[Mapping[Position, str]], Followed]
Tell = Callable[[Sequence[Happened]], None]
log = Log(__name__)


class Following:
    """Goes on until it is stopped; no error of Kafka or of the disk ends it."""

    def __init__(
        self,
        store: Store,
        open_place: Open,
        tell: Tell,
        keep: Sequence[KeepSettings],
        running: RunningPeriods,
    ) -> None:
        self._store = store
        self._open = open_place
        self._tell = tell
        self._keep = keep
        self._running = running
        self._horizons: Horizons = {}
        self.standings = Standings()
        self.stop = Event()

    def run(self) -> None:
        """The body of the thread."""
        import duckdb

        while not self.stop.is_set():
            try:
                self._follow()
            except StreamaggError as error:
                self._trouble(str(error))
            except duckdb.Error as error:
                self._trouble(f"The store cannot be written: {str(error).splitlines()[0].rstrip('.')}.")
            except Exception as error:
                log.error(
                    "following_failed", "{error}; this is a defect", error=error, traceback=format_exc()
                )
                self._trouble(f"{type(error).__name__}: {error}; this is a defect.")
            self.stop.wait(_AGAIN_S)

    def _trouble(self, text: str) -> None:
        """Told once, and again only after something else."""
        if self.standings.now.trouble != text:
            log.warning("not_following", "{reason} Old answers go on; trying again.", reason=text)
        self.standings.change(trouble=text, behind=None)
        self.standings.beat()

    def _follow(self) -> None:
        """Until it is stopped. Raises StreamaggError and duckdb.Error."""
        place = self._open(self._store.positions())
        try:
            while not self.stop.is_set():
                self.standings.beat()
                delivery = place.poll(POLL_MS)
                self._take(delivery)
                self._told(place.behind)
                self._keep_in_order()
        finally:
            place.close()

    def _take(self, delivery: Delivery) -> None:
        """Store it, however long there is no room for it, and tell of it."""
        parsed = parse(delivery.values)
        if delivery.positions:
            batch = kept(Batch(parsed.rows, delivery.sketches, delivery.positions), self._horizons)
            while not self._stored(batch):
                self.stop.wait(_FULL_S)
                if self.stop.is_set():
                    return
        now = self.standings.now
        self.standings.change(
            records=now.records + len(delivery.values) + len(delivery.sketches),
            unreadable=now.unreadable + parsed.unreadable + delivery.unreadable,
        )
        if parsed.unreadable + delivery.unreadable and not now.unreadable:
            log.warning("record_unreadable", "there are records of another form, which are left out")
        events = news(parsed.rows, delivery.whole) + self._running.take(delivery.running)
        if events:
            self._tell(events)

    def _stored(self, batch: Batch) -> bool:
        try:
            self._store.append(batch)
        except StoreFull as error:
            self._trouble(str(error))
            return False
        return True

    def _told(self, behind: int | None) -> None:
        now = self.standings.now
        if now.trouble is not None and behind is not None:
            log.info("following", "reading what is published, {behind} records behind", behind=behind)
            self.standings.change(trouble=None, behind=behind, begun=now.begun or behind == 0)
        elif now.behind != behind:
            self.standings.change(behind=behind, begun=now.begun or behind == 0)

    def _keep_in_order(self) -> None:
        """Sort what has become long, delete what is old, unite what is whole."""
        self._store.sort()
        self._horizons = horizons(self._store, self._keep)
        self._store.forget(self._horizons)
        end_s = monotonic() + UNIONS_S
        while self.standings.now.caught_up and monotonic() < end_s and unite(self._store):
            pass


def horizons(store: Store, keep: Sequence[KeepSettings]) -> Horizons:
    """Before which time nothing is kept: whole UTC days, counted back from the freshest window."""
    freshest = store.extents.get(WINDOW)
    if freshest is None:
        return {}
    lengths: dict[str | int, int] = {name: extent.longest_ms for name, extent in store.extents.items()}
    found: Horizons = {}
    for name, length_ms in (lengths | dict(UNION_LENGTHS_MS)).items():
        rule = next((rule for rule in keep if length_ms <= rule.length_ms), None)
        if rule is not None:
            found[name] = (freshest.end_ms - rule.keep_ms) // DAY_MS * DAY_MS
    return found


def kept(batch: Batch, before: Horizons) -> Batch:
    """Without what would be deleted again: a topic that is read anew may hold it."""
    rows = [one.where(one.columns["ts"] >= before.get(one.calendar, 0)) for one in batch.rows]
    sketches = [one for one in batch.sketches if one.ts_ms >= before.get(one.calendar, 0)]
    return Batch([one for one in rows if one.values], sketches, batch.positions)


def news(rows: Sequence[Rows], all_of_it: bool) -> list[Happened]:
    """What is told of stored records: while old ones are read, only the last of each calendar for all."""
    found = []
    for one in rows:
        kind: Kind = "window" if one.calendar == WINDOW else "period"
        told = [
            Happened(kind, value, one.calendar, text)
            for value, text in zip(one.values, one.groups, strict=True)
        ]
        found += told if all_of_it else [event for event in told if event.group is None][-1:]
    return found
