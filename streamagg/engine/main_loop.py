"""One turn of the main loop: of a session, be it of a topic or files, or of a reading without one."""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic

from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.session import Session
from streamagg.engine.workers.contract import ShardAnswer, UnmarshallerReplaced, Workers
from streamagg.model.messages import ColumnBlock, Trying


def monotonic_ms() -> int:
    """A clock that is never set: only differences count."""
    return int(monotonic() * 1000)


def turn(
    session: Session, workers: Workers, timeout_ms: int, clock_ms: Callable[[], int] = monotonic_ms
) -> None:
    """Take what comes within the time-out, and do what follows from it.

    Raises AggregatorLost, PublishFailed, and the StreamaggError that a worker reports.
    """
    for event in workers.poll(timeout_ms):
        match event:
            case ColumnBlock():
                session.receive_block(event, clock_ms())
            case Trying():
                session.note_trying(event)
            case ShardAnswer(shard, count):
                session.receive_count(count, shard)
            case UnmarshallerReplaced(worker):
                explained = session.replace_unmarshaller(worker, workers.unmarshallers)
                if explained:
                    workers.excuse(explained)
    session.tick(clock_ms())


def read(
    leases: LeaseBook, workers: Workers, wanted: Iterable[tuple[int, int]], timeout_ms: int
) -> Iterator[ColumnBlock]:
    """Give out what is to be read next, and hand on the blocks that come within the time-out.

    For whoever only reads: there is neither a session nor an aggregator. ``wanted``: as ``LeaseBook.issue``
    takes it. Raises the StreamaggError that a worker reports.
    """
    for worker, lease in leases.issue(wanted):
        workers.unmarshallers[worker].post(lease)
    for event in workers.poll(timeout_ms):
        match event:
            case ColumnBlock():
                if leases.received(event):
                    yield event
            case Trying():
                leases.trying(event)
            case UnmarshallerReplaced(worker):
                workers.excuse(leases.worker_lost(worker))
