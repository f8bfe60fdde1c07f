"""One turn of the main loop, the same for topics and files."""

from time import monotonic

from streamagg.pipeline.session import Session
from streamagg.pipeline.workers import ShardAnswer, UnmarshallerReplaced, Workers
from streamagg.records import ColumnBlock


def monotonic_ms() -> int:
    """A clock that is never set: only differences count."""
    return int(monotonic() * 1000)


def turn(session: Session, workers: Workers, timeout_ms: int) -> None:
    """Take what comes within the time-out, and do what follows from it.

    Raises AggregatorLost, PublishFailed, and the StreamaggError that a worker reports.
    """
    for event in workers.poll(timeout_ms):
        match event:
            case ColumnBlock():
                session.receive_block(event, monotonic_ms())
            case ShardAnswer(shard, count):
                session.receive_count(count, shard)
            case UnmarshallerReplaced(worker):
                session.replace_unmarshaller(worker, workers.unmarshallers)
    session.tick(monotonic_ms())
