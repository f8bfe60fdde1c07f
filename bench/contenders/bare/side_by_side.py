"""Starts the same work in several processes at one moment, and says when the last one was done."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

Begin = Callable[[], None]
"""Called by the work when it is ready; returns when all are."""


def side_by_side(work: Callable[..., int], shares: Sequence[tuple[object, ...]]) -> tuple[int, float]:
    """Run ``work(*share, begin)`` in a process for each share; returns records and seconds, all together."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for share in shares:
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(work, share, theirs))
        worker.start()
        pipes.append(ours)
        workers.append(worker)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    spans = [pipe.recv() for pipe in pipes]
    for worker in workers:
        worker.join()
    seconds = max(end for _, _, end in spans) - min(start for _, start, _ in spans)
    return sum(records for records, _, _ in spans), seconds


def _work(work: Callable[..., int], share: tuple[object, ...], pipe: Connection) -> None:
    started = 0.0

    def begin() -> None:
        nonlocal started
        pipe.send("ready")
        pipe.recv()
        started = time.time()

    records = work(*share, begin)
    pipe.send((records, started, time.time()))
