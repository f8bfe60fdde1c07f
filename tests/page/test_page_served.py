"""The page of a real ``serve``, behind the broker of the demo: every number on it is that of plain sets."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, expect

from streamagg.demo.page import served_page
from streamagg.kafka.embedded import embedded_broker
from streamagg.serve.store.store import SketchRow
from tests.page.conftest import Visitor
from tests.support.published_history import COUNTRIES, MINUTE_S, Visits, sketches

VISITS = Visits.made(seed=5, windows=300)
LAST = VISITS.starts[-1]
OUTPUT, SKETCHES = "visitors", "visitors-sketches"


class Run:
    """What a run would publish."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})

    def publish(self, record: dict[str, Any]) -> None:
        """One record."""
        words = [record.get("calendar"), str(record["ts"]), text_of(record.get("group"))]
        key = " ".join(word for word in words if word)
        self._producer.produce(OUTPUT, json.dumps(record).encode(), key.encode(), partition=0)

    def sketch(self, row: SketchRow) -> None:
        """One sketch."""
        words = [row.calendar if row.calendar != "window" else "", str(row.ts_ms // 1_000)]
        key = " ".join(word for word in words if word).encode() + (b" " + row.group if row.group else b"")
        self._producer.produce(SKETCHES, row.sketch, key, partition=0)

    def flush(self) -> None:
        """All of it is there."""
        assert self._producer.flush(30) == 0


def text_of(group: dict[str, str | None] | None) -> str:
    return json.dumps(list(group.values()), separators=(",", ":")) if group else ""


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[Run, str]]:
    """What publishes, and the address of the page."""
    with embedded_broker([OUTPUT, SKETCHES]) as bootstrap, served_page(bootstrap, OUTPUT, SKETCHES) as url:
        publisher = Run(bootstrap)
        for row in sketches(VISITS):
            publisher.sketch(row)
        publisher.flush()
        for record in VISITS.published():
            publisher.publish(record)
        publisher.flush()
        yield publisher, url


@pytest.fixture
def visitor(browser: Browser, run: tuple[Run, str]) -> Iterator[Visitor]:
    visitor = Visitor(browser, run[1])
    yield visitor
    visitor.close()
    assert visitor.wrong == []


def users_of(country: Any = ...) -> int:
    return len(VISITS.between(0, LAST + MINUTE_S, country))


def test_its_numbers_are_those_of_plain_sets(visitor: Visitor) -> None:
    page = visitor("#last=6h", timezone_id="UTC")
    expect(page.locator("#window-users")).to_have_text(f"{VISITS.window(LAST)['cnt']:,}")
    expect(page.locator("#day-users")).to_have_text(f"{users_of():,}")
    expect(page.locator("#range-users")).to_have_text(f"{users_of():,}")
    expect(page.locator("#range-beneath")).to_contain_text("exact")
    rows = page.locator("#groups-table tbody tr")
    expect(rows).to_have_count(len(COUNTRIES))
    shown = {tuple(row.split("\t")[1:3]) for row in rows.all_inner_texts()}
    names = {None: "(none)", "": "(empty)"}
    assert shown == {(names.get(one, one), f"{users_of(one):,}") for one in COUNTRIES}


def test_a_group_of_it(visitor: Visitor) -> None:
    page = visitor("#last=6h", timezone_id="UTC")
    page.locator("#groups-table tbody button", has_text=re.compile("^DE$")).click()
    expect(page.locator("#range-users")).to_have_text(f"{users_of('DE'):,}")
    last = max(start for start, country in VISITS.users if country == "DE")
    users = len(VISITS.users[last, "DE"])
    expect(page.locator("#readout")).to_contain_text(f"{users:,} unique users")
    expect(page.locator("#window-users")).to_have_text(f"{users:,}")


def test_samples_of_it(visitor: Visitor) -> None:
    page = visitor("#last=7d&calendar=window", timezone_id="UTC")
    expect(page.locator("#legend")).to_contain_text("least to most")
    expect(page.locator("#readout")).to_contain_text("on average")


def test_a_window_is_drawn_within_two_seconds(visitor: Visitor, run: tuple[Run, str]) -> None:
    page = visitor("#last=6h", timezone_id="UTC")
    expect(page.locator("#connection")).to_have_text("live")
    page.wait_for_selector("#legend li")
    users = 54_321
    run[0].publish(VISITS.window(LAST) | {"ts": LAST + MINUTE_S, "cnt": users})
    run[0].flush()
    expect(page.locator("#window-users")).to_have_text(f"{users:,}", timeout=2_000)
    expect(page.locator("#readout")).to_contain_text(f"{users:,} unique users", timeout=2_000)
