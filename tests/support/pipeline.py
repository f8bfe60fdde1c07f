"""A run on real Kafka as tests see it: records in, windows out, a recount to compare with."""

import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from streamagg.kafka.delivery import Reports
from streamagg.model.settings import (
    NO_CEILING,
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    WindowSettings,
)
from streamagg.tools.comparison import Verification, VerifySettings
from streamagg.tools.generate import GenerateSettings, records
from streamagg.tools.verify import verify
from tests.support.instances import READY_S, Instance
from tests.support.published import check_published

_numbers = itertools.count()

PIECES: Final = 40
"""Of what is fed slowly: at five a second, eight seconds of records."""
GRANULARITY_MS: Final = 10_000
WINDOW: Final = WindowSettings(GRANULARITY_MS, max_lag_ms=5_000, max_jump_ms=15_000)
DECODE: Final = DecodeSettings()
QUICK_GROUP: Final = ("-X", "session.timeout.ms=3000", "-X", "heartbeat.interval.ms=500")
"""A killed member holds its successor up for the session time-out: short where that is not the point."""
CONSUMER_GROUP: Final = ("-X", "group.protocol=consumer")
"""The same with the other protocol, where the broker of the tests makes it short."""


def made_records(count: int, *, seed: int = 1, corrupt: float = 0.001) -> list[bytes]:
    """Small records of ten windows for each 5,000, some of them late or broken."""
    made = GenerateSettings(
        count, users=2_000, rate=50, size_bytes=180, disorder=0.05, corrupt=corrupt, seed=seed
    )
    return list(itertools.chain.from_iterable(records(made)))


def record(time_s: float, user: str = "u") -> bytes:
    """One plain record."""
    return json.dumps({"ts": time_s, "uid": user}).encode()


class Feed:
    """Writes records into a topic; partitions take turns."""

    def __init__(self, bootstrap: str, topic: str, partitions: int = 1) -> None:
        # Large enough for records that streamagg refuses for their size.
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 5, "message.max.bytes": 2_000_000}
        )
        self._topic = topic
        self._turns = itertools.cycle(range(partitions))
        self._reports = Reports[None]()

    def enqueue(
        self,
        payload: bytes | None,
        *,
        partition: int | None = None,
        key: bytes | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Send without waiting; Kafka timestamp 0 is the present."""
        to = next(self._turns) if partition is None else partition
        self._producer.produce(
            self._topic, payload, key, partition=to, on_delivery=self._reports.hear, timestamp=timestamp_ms
        )
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        assert self._producer.flush(READY_S) == 0
        assert self._reports.first is None, self._reports.first

    def send(
        self, payloads: Iterable[bytes | None], *, partition: int | None = None, key: bytes | None = None
    ) -> None:
        """Send, and wait until the broker has everything."""
        for payload in payloads:
            self.enqueue(payload, partition=partition, key=key)
        self.flush()


@dataclass(frozen=True, slots=True)
class Run:
    """How to run on one input and output."""

    bootstrap: str
    input: str
    output: str
    directory: Path
    window: WindowSettings = WINDOW
    decode: DecodeSettings = DECODE
    group: str = ""
    ceiling: CeilingSettings = NO_CEILING

    def arguments(self, *more: str) -> list[str]:
        """Flags of ``streamagg run``."""
        return [
            *("--bootstrap-servers", self.bootstrap, "--input", self.input, "--output", self.output),
            *("--group", self.group or self.output),
            *self.rules(),
            *self._ceiling_arguments(),
            *more,
        ]

    def rules(self) -> list[str]:
        """Flags of every verb that counts: what is counted, and how."""
        window, decode = self.window, self.decode
        return [
            *("--granularity", f"{window.granularity_ms}ms", "--max-lag", f"{window.max_lag_ms}ms"),
            *("--max-jump", f"{window.max_jump_ms}ms"),
            *("--time-field", decode.time_field, "--user-field", decode.user_field or "none"),
            *("--time-unit", decode.time_unit, "--max-record-bytes", str(decode.max_record_bytes)),
            *("--framing", decode.framing),
            *self._answer_arguments(),
        ]

    def _answer_arguments(self) -> list[str]:
        window, decode = self.window, self.decode
        calendars = [("--calendar", calendar.name) for calendar in window.calendars]
        zone = [("--time-zone", window.time_zone)] if window.calendars else []
        groups = [("--group-by", path) for path in decode.group_by]
        measures = [("--measure", f"{one.name}={one.op}({one.path})") for one in decode.measures]
        return list(itertools.chain.from_iterable((*calendars, *zone, *groups, *measures)))

    def _ceiling_arguments(self) -> list[str]:
        if self.ceiling.max_users is None:
            return []
        return ["--max-users", str(self.ceiling.max_users), "--above-max-users", self.ceiling.above]

    def start(self, *more: str, level: str = "debug", env: Mapping[str, str] | None = None) -> Instance:
        """A running instance; use it as a context manager."""
        log = self.directory / f"run-{next(_numbers)}.log"
        return Instance(self.arguments(*more), log, level=level, env=env)

    def kill_at_random(self, chance: Random, *more: str) -> None:
        """Start an instance and kill it at a moment from before its first commit to well behind it."""
        with self.start(*more, *QUICK_GROUP) as instance:
            instance.wait_for("leading:")
            # That moment is what is drawn.
            time.sleep(chance.uniform(0, 2))
            instance.kill()

    def until_end(self, *more: str) -> dict[str, Any]:
        """Run to the end of the input; returns the statistics, which must add up."""
        path = self.directory / f"stats-{next(_numbers)}.json"
        with self.start("--until-end", "--stats-json", str(path), *more) as instance:
            assert instance.wait(90) == 0, instance.log
        stats: dict[str, Any] = json.loads(path.read_text())
        check_sums(stats)
        return stats

    def refused(self, *more: str, timeout_s: float = READY_S) -> tuple[int, str]:
        """Exit code and last line of a run that must not work."""
        with self.start("--until-end", *more, level="info") as instance:
            code = instance.wait(timeout_s)
            assert "Traceback" not in instance.log, instance.log
            return code, instance.log.strip().rpartition("\n")[2]

    def verify(self, *, allow_repeats: bool = False, allow_open: bool = False) -> Verification:
        """Compare the output with an independent recount of the input."""
        settings = VerifySettings(
            self.input,
            self.output,
            self.window,
            self.decode,
            KafkaSettings(self.bootstrap),
            allow_open=allow_open,
            allow_repeats=allow_repeats,
            ceiling=self.ceiling,
        )
        return verify(settings, lambda *_: None)

    def check(self, **options: bool) -> int:
        """Fail unless output and recount agree on every window, by the schema; returns how many there are."""
        check_published(self.published())
        comparison = self.verify(**options)
        assert not comparison.differences, comparison.differences[:5]
        assert comparison.partial == 0
        assert comparison.matching > 0
        return comparison.matching

    def on(self, output: str) -> "Run":
        """The same with another output, and a group of its own."""
        return replace(self, output=output, group="")

    def published(self) -> list[bytes]:
        """Values of the committed output records, in the order of offsets."""
        return [message.value() or b"" for message in read_all(self.bootstrap, self.output)]

    def counts(self) -> dict[int, int]:
        """Published unique users by window start in seconds; fails on a window published twice."""
        rows = [json.loads(value) for value in self.published()]
        counts = {row["ts"]: row["cnt"] for row in rows}
        assert len(counts) == len(rows), "a window was published twice"
        return counts


def check_sums(stats: dict[str, Any]) -> None:
    """No record vanishes: every one is in exactly one counter, in all and per partition."""
    for part in [stats, *stats["partitions"].values()]:
        parts = ("counted", "late", "set_aside", "published_before", "waiting", "read_again")
        assert part["records"] == sum(part[name] for name in parts) + sum(part["rejected"].values()), part


def feed_slowly(run: Run, made: list[bytes], partitions: int) -> threading.Thread:
    """Send records in pieces until the thread is joined: the run always has something to do."""

    def work() -> None:
        feed = Feed(run.bootstrap, run.input, partitions)
        size = len(made) // PIECES
        for first in range(0, len(made), size):
            feed.send(made[first : first + size])
            time.sleep(0.2)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def read_all(bootstrap: str, topic: str) -> Iterator[Message]:
    """Committed records of every partition of a topic, up to its present end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=READY_S).topics[topic]
        for number in sorted(found.partitions):
            consumer.assign([TopicPartition(topic, number, 0)])
            while True:
                message = consumer.poll(READY_S)
                assert message is not None, f"{topic} is not read to its end"
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    break
                yield message
    finally:
        consumer.close()


def lines(rows: Sequence[bytes]) -> bytes:
    """JSON lines of a file."""
    return b"".join(row + b"\n" for row in rows)
