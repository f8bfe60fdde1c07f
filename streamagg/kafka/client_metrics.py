"""Counts what a Kafka client encounters: errors by code, round trips from librdkafka's statistics."""

from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError

from streamagg.model.measured import ClientNumbers, RoundTrip

_STATISTICS_EVERY_MS: Final = 10_000
"""One takes 0.15 ms (REPORT.md, "What metrics cost")."""
_US_PER_S: Final = 1_000_000


class _Window(msgspec.Struct, frozen=True):
    """Quantiles of an interval, in microseconds; both 0 when nothing was asked in it."""

    p50: int = 0
    p99: int = 0


class _Broker(msgspec.Struct):
    """A connection; several may lead to one broker."""

    nodeid: int = -1
    rtt: _Window = _Window()


class _Statistics(msgspec.Struct):
    """The part of librdkafka's statistics that is looked at."""

    brokers: dict[str, _Broker] = {}


_decoder = msgspec.json.Decoder(_Statistics)


def observing(numbers: ClientNumbers) -> dict[str, Any]:
    """Arguments of ``consumer_config`` and ``producer_config`` for a client that is observed.

    It has to be polled even when it has nothing to do: what it reports is kept until then.
    """
    return {
        "on_error": partial(note_error, numbers),
        "stats_cb": partial(note_statistics, numbers),
        "statistics_interval_ms": _STATISTICS_EVERY_MS,
    }


def note_error(numbers: ClientNumbers, error: KafkaError) -> None:
    """Count an error; librdkafka has logged it."""
    numbers.failed(error.name())


def note_statistics(numbers: ClientNumbers, statistics: str) -> None:
    """Take the round trips from librdkafka's statistics in JSON: the slowest for each broker."""
    with suppress(msgspec.DecodeError):
        latest = ClientNumbers()
        for broker in _decoder.decode(statistics).brokers.values():
            if broker.nodeid >= 0 and broker.rtt.p99:
                found = RoundTrip(broker.rtt.p50 / _US_PER_S, broker.rtt.p99 / _US_PER_S)
                latest.add(ClientNumbers(round_trips={str(broker.nodeid): found}))
        numbers.round_trips = latest.round_trips
