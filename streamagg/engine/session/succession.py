"""One session after the other: what each hands on to the next."""

from collections.abc import Mapping
from itertools import count

from streamagg.engine.session.kept import Kept
from streamagg.engine.session.leases import LeaseBook, LeaseSize
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.session import Session
from streamagg.engine.workers.contract import Workers
from streamagg.sinks.contract import Publisher
from streamagg.sources.contract import Marks


class Succession:
    """Sessions with the same workers: none takes for its own what was asked for by one before it."""

    def __init__(
        self, plan: Plan, workers: Workers, lease_size: LeaseSize, marks: Marks | None = None
    ) -> None:
        """``marks``: of the source, if it has such."""
        self._plan = plan
        self._workers = workers
        self._lease_size = lease_size
        self._marks = marks
        self._lease_ids = count()
        self._poison: dict[int, set[int]] = {}
        """Offsets of the records found to be poison, by partition."""
        self.begun = 0
        """Sessions so far; the number of one is its epoch."""

    def begin(
        self, openings: Mapping[int, Opening], publisher: Publisher, now_ms: int, kept: Kept | None = None
    ) -> Session:
        """The next session; the one before it has ended. ``kept``: see ``Session``."""
        self.begun += 1
        workers = self._workers
        leases = LeaseBook(
            len(workers.unmarshallers), self._lease_ids, self._lease_size, self._poison, self._marks
        )
        return Session(
            self._plan,
            openings,
            leases,
            workers.unmarshallers,
            workers.aggregators,
            publisher,
            self.begun,
            now_ms,
            kept,
        )
