"""Writes the bodies that came while the last ones were being written, all of them together.

::

    requests ──▶ waiting ──▶ thread: write, wait until all is there ──▶ answers
                    ▲                        │
                    └── come meanwhile ◀─────┘

So what a write costs is shared by as many bodies as come in that time.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Final, NamedTuple

from streamagg.events import Log
from streamagg.ingest.destinations.contract import Body, Destination, NotWritten

MOST_TOGETHER_BYTES: Final = 16 << 20
"""Then the next group begins: what waits for one is not to wait for much more."""
GATHER_S: Final = 0.001
"""The first of a group waits for so long: of 5,000 bodies a second each costs a third less then."""
_TIDY_S: Final = 0.25

Took = Callable[[float, bool], None]
"""Hears of each group how many seconds it has taken, and whether it failed."""

log = Log(__name__)


class _Waiting(NamedTuple):
    body: Body
    written: "asyncio.Future[None]"


class Committer:
    """A thread that owns the destination."""

    def __init__(
        self,
        destination: Destination,
        loop: asyncio.AbstractEventLoop,
        took: Took = lambda seconds, failed: None,
    ) -> None:
        """``loop`` is where ``write`` is called, and ``took``."""
        self.trouble: str | None = None
        """Why nothing can be written at present, as far as is known."""
        self._destination = destination
        self._loop = loop
        self._took = took
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    async def write(self, body: Body) -> None:
        """Returns when it is there for good. Raises NotWritten."""
        written = self._loop.create_future()
        self._waiting.put(_Waiting(body, written))
        try:
            await written
        finally:
            # Its error holds this frame, which would hold the future, and that the error.
            del written

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            if group:
                self._write(group)
            self._tidy()
        self._destination.close()

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """What waits, and whether more may come."""
        group: list[_Waiting] = []
        size = 0
        try:
            one = self._waiting.get(timeout=_TIDY_S)
            sleep(GATHER_S)
            while one is not None:
                group.append(one)
                size += one.body.size
                if size >= MOST_TOGETHER_BYTES:
                    return group, True
                one = self._waiting.get_nowait()
        except Empty:
            return group, True
        return group, False

    def _write(self, group: list[_Waiting]) -> None:
        began = monotonic()
        trouble: str | None = None
        try:
            self._destination.write([one.body for one in group])
        except NotWritten as error:
            trouble = str(error)
        self._know(trouble)
        self._loop.call_soon_threadsafe(self._answer, group, trouble, monotonic() - began)

    def _tidy(self) -> None:
        try:
            self._destination.tidy()
        except NotWritten as error:
            self._know(str(error))
        else:
            self._know(None)

    def _know(self, trouble: str | None) -> None:
        if trouble is not None and self.trouble is None:
            log.warning("not_written", "records are refused: {error}", error=trouble)
        elif trouble is None and self.trouble is not None:
            log.info("written_again", "records can be written again")
        self.trouble = trouble

    def _answer(self, group: list[_Waiting], trouble: str | None, seconds: float) -> None:
        """In the thread of the loop."""
        self._took(seconds, trouble is not None)
        for one in group:
            # Whoever asked may have been cancelled meanwhile.
            if not one.written.done():
                if trouble is None:
                    one.written.set_result(None)
                else:
                    one.written.set_exception(NotWritten(trouble))
