"""Groups, measures and periods of a run agree with the recount, and what is changed is found."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streamagg.tools.generate import GenerateSettings, records
from tests.integration.test_replay_verify import TopicFactory, read, send, stream, streamagg

pytestmark = pytest.mark.kafka

MADE = GenerateSettings(6_000, users=300, rate=20, size_bytes=250, disorder=0.1, corrupt=0.05, visits=True)
GROUPED = (
    *("--group-by", "country", "--group-by", "page.section"),
    *(
        "--measure",
        "bytes=sum(bytes)",
        "--measure",
        "slowest=max(latency_ms)",
        "--measure",
        "price=last(price)",
    ),
    *(
        "--measure",
        "mean=avg(price)",
        "--measure",
        "prices=count(price)",
        "--measure",
        "pages=uniques(page.path)",
    ),
)
Output = tuple[str, dict[str, Any]]
"""Key and value of a published record."""


def publish(broker: str, topic: str, outputs: list[Output]) -> None:
    producer = Producer({"bootstrap.servers": broker})
    for key, value in outputs:
        producer.produce(topic, json.dumps(value).encode(), key.encode())
    assert producer.flush(30) == 0


def verified(broker: str, source: str, output: str, *flags: str) -> tuple[int, dict[str, Any]]:
    """Exit code and findings."""
    where = ("--input", source, "--output", output, "--bootstrap-servers", broker, "--json")
    outcome = streamagg("verify", *where, *flags)
    assert outcome.stdout, outcome.stderr
    return outcome.returncode, json.loads(outcome.stdout)


Ran = Callable[..., tuple[str, list[Output]]]


@pytest.fixture
def ran(broker: str, topic: TopicFactory, tmp_path: Path) -> Ran:
    """A run over the visits, in two goes: its input, and what it has published."""

    def run(*flags: str, partitions: int = 1, rate: float = 20) -> tuple[str, list[Output]]:
        source, output = topic(partitions=3), topic(partitions=partitions)
        visits = [record for chunk in records(replace(MADE, rate=rate)) for record in chunk]
        where = ("--input", source, "--output", output, "--bootstrap-servers", broker, "--group", output)
        for half, more in ((visits[:3_000], ("--keep-open",)), (visits[3_000:], ("--aggregators", "3"))):
            send(broker, source, stream(tmp_path, half))
            outcome = streamagg("run", *where, "--until-end", "--http", "off", *more, *flags)
            assert outcome.returncode == 0, outcome.stderr
        code, found = verified(broker, source, output, *flags, "--allow-open")
        assert (code, found["differences"]) == (0, [])
        published = [one for part in read(broker, output, partitions) for one in part]
        assert found["matching"] == found["windows"] - found["open"] == len(published)
        return source, [((key or b"").decode(), json.loads(value or b"")) for key, value in published]

    return run


def test_what_is_changed_in_a_grouped_run_is_found(broker: str, topic: TopicFactory, ran: Ran) -> None:
    source, published = ran(*GROUPED)
    windows = [number for number, (_, value) in enumerate(published) if "group" not in value]
    assert len(windows) >= 5
    first, second, third, fourth = windows[:4]
    changed = [*published]
    key, value = published[first + 1]
    changed[first + 1] = key, value | {"bytes": value["bytes"] + 1}
    changed[first + 2], changed[first + 3] = published[first + 3], published[first + 2]
    key, value = published[second]
    changed[second] = key, value | {"groups": value["groups"] + 1}
    strange = published[third + 1][1] | {"group": {"country": "XX", "page.section": None}}
    changed[fourth:fourth] = [
        published[third + 1],
        (f'{strange["ts"]} ["XX",null]', strange),
        (f'{strange["ts"]} ["YY",null]', strange),
    ]
    del changed[third + 2]
    other = topic()
    publish(broker, other, changed)

    code, found = verified(broker, source, other, *GROUPED)
    assert code == 4
    assert {(one["kind"], one["ts"], str(one["group"])) for one in found["differences"]} == {
        ("different", *place(published[first + 1])),
        ("unordered", *place(published[first + 2])),
        ("different", *place(published[second])),
        ("doubled", *place(published[third + 1])),
        ("missing", *place(published[third + 2])),
        ("unexpected", strange["ts"], "['XX', None]"),
        ("unreadable", None, "None"),
    }
    assert found["matching"] == found["windows"] - 5


def place(output: Output) -> tuple[int, str]:
    ts, _, group = output[0].partition(" ")
    return int(ts), str(json.loads(group or "null"))


def test_the_groups_with_most_users_agree(ran: Ran) -> None:
    _, published = ran(*GROUPED, "--top", "7", partitions=3)
    assert max(Counter(value["ts"] for _, value in published).values()) == 8


def test_without_users_and_without_groups_measures_agree(ran: Ran) -> None:
    _, published = ran("--user-field", "none", "--measure", "bytes=sum(bytes)")
    assert {tuple(value) for _, value in published} == {
        ("ts", "granularity", "records", "partial", "v", "bytes")
    }


def test_windows_of_too_many_groups_agree_without_them(ran: Ran) -> None:
    _, published = ran("--group-by", "page.path", "--max-groups", "400", "--above-max-groups", "totals")
    dropped = [value.get("groups_dropped", False) for _, value in published if "group" not in value]
    assert {True, False} <= {*dropped}


PERIODS = ("--calendar", "day", "--calendar", "15m", "--calendar", "hour", "--time-zone", "Asia/Kathmandu")


def test_periods_agree_and_what_is_changed_in_them_is_found(
    broker: str, topic: TopicFactory, ran: Ran
) -> None:
    # Eight hours around midnight; the second day and the last hour are not over.
    flags = ("--group-by", "page.section", *GROUPED[4:], *PERIODS, "--max-jump", "2m")
    source, published = ran(*flags, rate=0.2)
    numbers = {name: whole(published, name) for name in ("15m", "hour", "day")}
    assert {name: len(found) for name, found in numbers.items()} == {"15m": 34, "hour": 8, "day": 1}
    changed = [*published]
    key, value = published[numbers["15m"][0]]
    changed[numbers["15m"][0]] = key, value | {"end": value["end"] + 60}
    key, value = published[numbers["day"][0] + 1]
    changed[numbers["day"][0] + 1] = key, value | {"price": -1}
    del changed[numbers["hour"][0]]
    changed.append(changed.pop(0))
    other = topic()
    publish(broker, other, changed)

    code, found = verified(broker, source, other, *flags, "--allow-open")
    assert code == 4
    assert {(one["kind"], one["calendar"], one["group"] is None) for one in found["differences"]} == {
        ("different", "15m", True),
        ("different", "day", False),
        ("missing", "hour", True),
        ("unordered", None, True),
    }
    assert found["matching"] == found["windows"] - found["open"] - 4


def whole(published: list[Output], calendar: str) -> list[int]:
    """Where the periods of a calendar are."""
    return [
        number
        for number, (_, value) in enumerate(published)
        if value.get("calendar") == calendar and "group" not in value
    ]
