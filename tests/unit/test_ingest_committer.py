"""Bodies that come while others are being written are written together, and each is answered."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress

import pytest

from streamagg.ingest.committer import MOST_TOGETHER_BYTES, Committer
from streamagg.ingest.destinations.contract import Body, NotWritten

Test = Callable[[Committer], Coroutine[None, None, None]]


class Slow:
    """A destination that writes when it may."""

    def __init__(self) -> None:
        self.groups: list[list[bytes]] = []
        self.begun, self.may = threading.Semaphore(0), threading.Semaphore(0)
        self.trouble: str | None = None
        self.closed = False

    def write(self, bodies: Sequence[Body]) -> None:
        self.begun.release()
        self.may.acquire()
        if self.trouble is not None:
            raise NotWritten(self.trouble)
        self.groups.append([record for body in bodies for record in body.records])

    def tidy(self) -> None:
        if self.trouble is not None:
            raise NotWritten(self.trouble)

    def close(self) -> None:
        self.closed = True


def committed(destination: Slow, test: Test) -> None:
    async def run() -> None:
        committer = Committer(destination, asyncio.get_running_loop())
        await asyncio.wait_for(test(committer), 20)
        destination.may.release(100)
        await asyncio.to_thread(committer.close)

    asyncio.run(run())


async def begun(destination: Slow) -> None:
    await asyncio.to_thread(destination.begun.acquire)


def body(*records: bytes) -> Body:
    return Body(list(records))


def test_what_comes_meanwhile_is_one_group() -> None:
    destination = Slow()

    async def test(committer: Committer) -> None:
        first = asyncio.create_task(committer.write(body(b"1")))
        await begun(destination)
        others = [asyncio.create_task(committer.write(body(b"%d" % n))) for n in range(2, 6)]
        # Each has been put behind the others once its task has run.
        await asyncio.sleep(0)
        assert not first.done()
        destination.may.release(2)
        await asyncio.gather(first, *others)

    committed(destination, test)
    assert destination.groups == [[b"1"], [b"2", b"3", b"4", b"5"]]
    assert destination.closed


def test_a_group_has_an_end() -> None:
    destination = Slow()
    large = b"x" * MOST_TOGETHER_BYTES

    async def test(committer: Committer) -> None:
        first = asyncio.create_task(committer.write(body(b"1")))
        await begun(destination)
        others = [asyncio.create_task(committer.write(body(one))) for one in (b"2", large, b"3")]
        await asyncio.sleep(0)
        destination.may.release(3)
        await asyncio.gather(first, *others)

    committed(destination, test)
    assert destination.groups == [[b"1"], [b"2", large], [b"3"]]


def test_all_of_a_group_hear_that_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    destination = Slow()
    destination.trouble = "The disk is full."
    destination.may.release(100)

    async def test(committer: Committer) -> None:
        found = await asyncio.gather(*(committer.write(body(b"1")) for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in found] == ["The disk is full."] * 3
        assert committer.trouble == "The disk is full."
        destination.trouble = None
        await committer.write(body(b"2"))
        assert committer.trouble is None

    with caplog.at_level(logging.INFO):
        committed(destination, test)
    assert destination.groups == [[b"2"]]
    assert [record.event for record in caplog.records if hasattr(record, "event")] == [
        "not_written",
        "written_again",
    ]


def test_what_was_not_written_is_not_kept() -> None:
    """No cycle holds a body that failed: workers look for cycles rarely."""
    destination, writes = Slow(), 50
    destination.trouble = "The disk is full."
    destination.may.release(1_000)

    async def test(committer: Committer) -> None:
        gc.collect()
        gc.disable()
        try:
            for _ in range(writes):
                with suppress(NotWritten):
                    await committer.write(body(b"1"))
            assert gc.collect() < writes
        finally:
            gc.enable()

    committed(destination, test)


def test_whoever_stops_waiting_is_written_all_the_same() -> None:
    destination = Slow()

    async def test(committer: Committer) -> None:
        task = asyncio.create_task(committer.write(body(b"1")))
        await begun(destination)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        destination.may.release()

    committed(destination, test)
    assert destination.groups == [[b"1"]]


def test_what_waits_at_the_end_is_written() -> None:
    destination = Slow()
    waiting: list[asyncio.Task[None]] = []

    async def test(committer: Committer) -> None:
        waiting.append(asyncio.create_task(committer.write(body(b"1"))))
        await begun(destination)
        waiting.append(asyncio.create_task(committer.write(body(b"2"))))
        await asyncio.sleep(0)

    committed(destination, test)
    assert destination.groups == [[b"1"], [b"2"]]
