"""Standard output as a sink: what a session that breaks goes on from."""

import io
import json
import select
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import CheckpointError
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import DecodeSettings, RunSettings, WindowSettings
from streamagg.sinks import stream
from streamagg.sinks.contract import LeaderPublisher, Publication
from streamagg.sinks.leadership import Alone
from streamagg.sinks.stream import StreamSink
from streamagg.telemetry.streams import ReaderGone
from tests.support.blocks import window_table

SETTINGS = RunSettings("in", "-")
SIGNATURE = "settings:topic:destination"
PATIENCE_S = 30
KEPT = {0: Checkpoint(PartitionState(700), 7, 700)}


class Output:
    """Stands for standard output."""

    def __init__(self) -> None:
        self.buffer: Any = io.BytesIO()


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Output:
    output = Output()
    monkeypatch.setattr(stream, "sys", SimpleNamespace(stdout=output))
    return output


@pytest.fixture
def sink() -> StreamSink:
    return StreamSink(SETTINGS, lambda point: None)


def leader(sink: StreamSink, confirm: Any = lambda: None) -> LeaderPublisher:
    publisher = sink.publisher(Alone(), SIGNATURE, confirm, PublisherNumbers())
    assert publisher.start(lambda: False)
    return publisher


@pytest.fixture
def publisher(sink: StreamSink) -> Iterator[LeaderPublisher]:
    made = leader(sink)
    yield made
    made.close(1)


def publish(publisher: LeaderPublisher, publication: Publication) -> None:
    publisher.submit(publication)
    assert select.select([publisher], [], [], PATIENCE_S)[0]
    assert publisher.finished() is publication


def test_a_line_for_each_result_and_the_checkpoint_with_them(
    out: Output, sink: StreamSink, publisher: LeaderPublisher
) -> None:
    assert publisher.checkpoints([0]) == {}
    windows = (window_table(6, 1, 2), window_table(7, 3, 4))
    publish(publisher, Publication(windows, KEPT, state=((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))))
    assert [json.loads(each)["cnt"] for each in out.buffer.getvalue().splitlines()] == [1, 3]

    after = leader(sink)
    offset, text = after.checkpoints([0, 1])[0]
    assert checkpoint.decode(offset, text, SIGNATURE, WindowSettings(), DecodeSettings()) == KEPT[0]
    assert list(after.state(lambda: None)) == [(b"b", b"2"), (b"a", b"3")]
    publish(after, Publication((), KEPT, state=((b"b", None),)))
    assert list(after.state(lambda: None)) == [(b"a", b"3")]
    after.close(1)


def test_nothing_is_kept_of_what_is_not_out(
    out: Output, sink: StreamSink, publisher: LeaderPublisher
) -> None:
    def gone(_: bytes) -> None:
        raise ReaderGone

    out.buffer.write = gone  # type: ignore[method-assign]
    publisher.submit(Publication((window_table(7, 3, 4),), KEPT))
    assert select.select([publisher], [], [], PATIENCE_S)[0]
    with pytest.raises(ReaderGone):
        publisher.finished()
    assert sink.checkpoints([0]) == {}


def test_nothing_is_published_once_the_input_is_another_one(out: Output, sink: StreamSink) -> None:
    def another() -> None:
        raise CheckpointError("made anew")

    publisher = leader(sink, another)
    publisher.submit(Publication((window_table(7, 3, 4),), KEPT))
    assert select.select([publisher], [], [], PATIENCE_S)[0]
    with pytest.raises(CheckpointError):
        publisher.finished()
    assert out.buffer.getvalue() == b""
    publisher.close(1)
