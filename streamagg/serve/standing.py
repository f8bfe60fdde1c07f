"""How the following stands: written by the thread that follows, read by those that answer."""

import threading
from dataclasses import dataclass, replace
from time import monotonic

from streamagg.serve.run_metrics import RunFigures


@dataclass(frozen=True, slots=True)
class Standing:
    """One moment of it."""

    trouble: str | None = "nothing has been read yet"
    """Why what is newest may be missing; None while all is well."""
    behind: int | None = None
    """Records that wait to be read; None while that is not known."""
    records: int = 0
    """Stored by this process."""
    unreadable: int = 0
    """Records of other forms, which were left out."""
    begun: bool = False
    """Everything that was there has been stored once."""

    @property
    def caught_up(self) -> bool:
        """Everything that is there is stored."""
        return self.trouble is None and self.behind == 0


class Standings:
    """The last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = Standing()
        self.beat_s = monotonic()
        """When the thread that follows last gave a sign of life."""
        self.run: RunFigures | None = None
        """What the run says; None where it is not asked, or does not answer."""

    def change(self, **fields: object) -> None:
        """Take these from here on."""
        with self._lock:
            self.now = replace(self.now, **fields)  # type: ignore[arg-type]

    def told(self, run: RunFigures | None) -> None:
        """What the run says from here on."""
        self.run = run

    def beat(self) -> None:
        """The thread that follows moves."""
        self.beat_s = monotonic()
