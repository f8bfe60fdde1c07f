"""Topics that are followed, on the broker inside librdkafka, and the thread that stores what comes."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import duckdb
import numpy as np
import pytest
from confluent_kafka import Producer

from streamagg.core.measures.theta import compact_theta
from streamagg.errors import KafkaUnreachable
from streamagg.kafka.embedded import embedded_broker
from streamagg.model.settings import KafkaSettings
from streamagg.serve.api.live import Happened
from streamagg.serve.follow.contract import Delivery, Followed
from streamagg.serve.follow.topics import Topics, TopicsFollowed
from streamagg.serve.following import Following
from streamagg.serve.running import RunningPeriods
from streamagg.serve.store import store as storing
from streamagg.serve.store.store import Position, SketchRow, Store
from tests.support.published_history import EPOCH_S, Visits, values

VALUES = values(Visits.made(seed=1, windows=40).published())
SKETCH = compact_theta(np.array([1 << 40], np.uint64))
TOPICS = Topics("output", "sketches", "running")


class Deliveries:
    """What a place has delivered."""

    def __init__(self, place: TopicsFollowed) -> None:
        self.values: list[bytes] = []
        self.sketches: list[SketchRow] = []
        self.running: list[tuple[bytes, bytes | None]] = []
        self.positions: dict[Position, str] = {}
        self.unreadable = 0
        self._place = place

    def read(self) -> "Deliveries":
        """To the end."""
        end_s = monotonic() + 60
        while True:
            delivery = self._place.poll(50)
            self.values += delivery.values
            self.sketches += delivery.sketches
            self.running += delivery.running
            self.positions |= delivery.positions
            self.unreadable += delivery.unreadable
            if self._place.behind == 0 and not delivery.positions and not delivery.running:
                return self
            assert monotonic() < end_s


def test_each_record_once_though_it_is_opened_again() -> None:
    """Sketches by their keys; periods so far from the beginning each time."""
    so_far = {"ts": 0, "calendar": "day", "end": 86_400, "records": 1, "final": False}
    with embedded_broker(TOPICS.all) as bootstrap:
        producer = Producer({"bootstrap.servers": bootstrap})

        def send(topic: str, key: str, value: bytes | None) -> None:
            producer.produce(topic, value, key)

        for number, value in enumerate(VALUES[:50]):
            send("output", str(number), value)
        send("sketches", "1468244400", SKETCH)
        send("sketches", '1468244400.5 ["DE"]', SKETCH)
        send("sketches", 'day 1468188000 ["a] [b",null]', SKETCH)
        for key in ("", "day", "1e999", "1468244400 [", "nan"):
            send("sketches", key, SKETCH)
        send("sketches", "1468244401", b"no sketch")
        send("running", "day 0", json.dumps(so_far).encode())
        assert producer.flush(30) == 0
        place = TopicsFollowed(KafkaSettings(bootstrap), TOPICS, {})
        first = Deliveries(place).read()
        place.close()
        assert sorted(first.values) == sorted(VALUES[:50])
        assert {(one.calendar, one.ts_ms, one.group) for one in first.sketches} == {
            ("window", 1468244400000, None),
            ("window", 1468244400500, b'["DE"]'),
            ("day", 1468188000000, b'["a] [b",null]'),
        }
        assert first.unreadable == 6
        for number, value in enumerate(VALUES[50:80]):
            send("output", str(number), value)
        send("running", "day 0", None)
        assert producer.flush(30) == 0
        place = TopicsFollowed(KafkaSettings(bootstrap), TOPICS, first.positions)
        second = Deliveries(place).read()
        place.close()
        assert sorted(second.values) == sorted(VALUES[50:80])
        assert second.sketches == []
        assert [value for _, value in second.running if value is None or value] == [
            json.dumps(so_far).encode(),
            None,
        ]


class Place:
    """Delivers what it is told to, and then waits."""

    def __init__(self, deliveries: Iterator[Delivery | Exception], done: threading.Event) -> None:
        self._deliveries = deliveries
        self._done = done
        self.behind: int | None = 0

    def poll(self, timeout_ms: int) -> Delivery:
        found = next(self._deliveries, None)
        if found is None:
            self._done.set()
            self._done.wait(timeout_ms / 1_000)
            return Delivery()
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        pass


def follow(
    store: Store,
    deliveries: Sequence[Delivery | Exception],
    during: Callable[[Following], object] = lambda _: None,
) -> tuple[Following, list[Happened]]:
    """Until all is taken; each error closes the place, and opens it behind it."""
    left, done = iter(deliveries), threading.Event()
    told: list[Happened] = []

    def open_place(positions: Mapping[Position, str]) -> Followed:
        return Place(left, done)

    following = Following(store, open_place, told.extend, (), RunningPeriods())
    thread = threading.Thread(target=following.run)
    thread.start()
    try:
        during(following)
        assert done.wait(60)
    finally:
        following.stop.set()
        thread.join(60)
    return following, told


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.close()


def delivery(found: Sequence[bytes], position: str, **more: Any) -> Delivery:
    return Delivery(found, positions={("t", "0"): position}, **more)


def test_no_error_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Kafka, of the disk, nor a defect."""
    monkeypatch.setattr("streamagg.serve.following._AGAIN_S", 0.01)
    following, _ = follow(
        store,
        [
            delivery(VALUES[:5], "1"),
            KafkaUnreachable("Kafka is away."),
            delivery(VALUES[5:9], "2"),
            duckdb.IOException("no"),
            ZeroDivisionError("a defect"),
            delivery([b"{}", *VALUES[9:12]], "3"),
        ],
    )
    now = following.standings.now
    assert (now.trouble, now.behind, now.begun, now.unreadable) == (None, 0, True, 1)
    assert store.positions() == {("t", "0"): "3"}
    count = store.connection.execute("SELECT count(*) FROM tail_1").fetchone()
    assert count == (12,)


def test_a_full_disk_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamagg.serve.following._FULL_S", 0.01)
    monkeypatch.setattr(storing, "FREE_BYTES", 1 << 62)

    def during(following: Following) -> None:
        end_s = monotonic() + 60
        while "no room left" not in (following.standings.now.trouble or ""):
            assert monotonic() < end_s
        assert store.positions() == {}
        monkeypatch.setattr(storing, "FREE_BYTES", 0)

    following, _ = follow(store, [delivery(VALUES[:5], "1")], during)
    assert following.standings.now.trouble is None
    assert store.positions() == {("t", "0"): "1"}


def test_what_is_told(store: Store) -> None:
    """All of what is new; of old records only where they have come to."""
    so_far = json.dumps({"ts": EPOCH_S, "calendar": "day", "final": False}).encode()
    _, told = follow(
        store,
        [
            delivery(VALUES[:20], "1", whole=False),
            delivery(VALUES[20:23], "2", running=[(b"day 0", so_far), (b"day 1", None), (b"day 2", b"?")]),
        ],
    )
    old = [value for value in VALUES[:20] if b'"group":' not in value and b"calendar" not in value]
    assert [event.value for event in told] == [old[-1], *VALUES[20:23], so_far]
    assert {event.kind for event in told} == {"window", "running"}
