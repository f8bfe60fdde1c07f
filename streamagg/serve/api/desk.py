"""Where questions are taken: so many at once, each for so long, none for a client that has left."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from streamagg.http.front import ClientGone
from streamagg.http.problems import Problem, overloaded
from streamagg.serve.questions.asked import Unanswerable
from streamagg.serve.store.reading import Reading
from streamagg.serve.store.store import Store

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
AT_ONCE: Final = 4
"""Questions that are worked on; DuckDB itself uses all cores for one."""


class Desk:
    """Takes questions from the event loop and answers them in threads."""

    def __init__(self, store: Store, most: int, timeout_ms: int) -> None:
        """``most``: questions that are worked on or wait; ``timeout_ms``: of one, its wait included."""
        self._store = store
        self._most = most
        self._timeout_s = timeout_ms / 1_000
        self._threads = ThreadPoolExecutor(AT_ONCE, "question")
        self.open = 0
        """Questions that are not answered yet."""
        self.refused = 0
        """Questions that were one too many."""
        self.cancelled = 0
        """Questions that took too long, or whose client left."""

    def close(self) -> None:
        """Wait for those that are worked on."""
        self._threads.shutdown(cancel_futures=True)

    async def ask(self, question: Callable[[Reading], T], gone: Callable[[], Awaitable[None]]) -> T:
        """The answer; ``gone`` returns when nobody waits for it.

        Raises Problem for one that has none, takes too long, or is one too many, and ClientGone.
        """
        if self.open >= self._most:
            self.refused += 1
            raise overloaded("There are too many questions at once: ask again in a moment.")
        self.open += 1
        task = _Task(self._store, question)
        left: asyncio.Future[Any] = asyncio.ensure_future(gone())
        answer: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(self._threads, task.run)
        try:
            await asyncio.wait({left, answer}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                found: T = answer.result()
                return found
            self.cancelled += 1
            task.cancel()
            if left.done():
                raise ClientGone
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"This takes longer than {self._timeout_s:g} s: ask for a shorter range.",
                headers=[(b"retry-after", b"10")],
            )
        finally:
            left.cancel()
            answer.add_done_callback(self._ended)

    def _ended(self, answer: "asyncio.Future[Any]") -> None:
        self.open -= 1
        if not answer.cancelled():
            # An error of a question that nobody waits for any more is of no interest.
            answer.exception()


class _Task(Generic[T]):
    """One question in its thread, which others may interrupt."""

    def __init__(self, store: Store, question: Callable[[Reading], T]) -> None:
        self._store = store
        self._question = question
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._reading: Reading | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Give up, if it has not come to an end."""
        with self._lock:
            self._cancelled = True
            if self._reading is not None:
                self._reading.given_up = True
            if self._cursor is not None:
                self._cursor.interrupt()

    def run(self) -> T:
        """Raises Problem."""
        with self._lock:
            if self._cancelled:
                raise ClientGone
            self._cursor = cursor = self._store.cursor()
        try:
            with self._store.reading(cursor) as reading:
                with self._lock:
                    self._reading, reading.given_up = reading, self._cancelled
                return self._question(reading)
        except Unanswerable as reason:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(reason)) from None
        finally:
            with self._lock:
                self._cursor = None
            cursor.close()
