"""Every event that the program logs is in docs/logs.md with its level and fields, and the other way round."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from streamagg.engine.reporting import minute_summary as summary
from streamagg.events import Log
from streamagg.telemetry.log_lines import event_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "logs.md").read_text("utf-8")
LEVELS = ("debug", "info", "warning", "error")
BY_OTHERS = {
    "kafka_client": ("varies", {"line"}),
    "lines_left_out": ("warning", {"left_out", "lines"}),
    "other": ("varies", set()),
    "stopping": ("info", set()),
    "interrupted": ("info", set()),
    "worker_failed": ("error", set()),
    "worker_out_of_memory": ("error", set()),
}
"""Made where there is no logger at hand, or not by streamagg."""


LOGGER = re.compile(r"^log(: Final)? = Log\(__name__\)$", re.MULTILINE)
"""In other modules a log is something else."""


class Logged(NamedTuple):
    """One call in the program."""

    event: str
    level: str
    fields: frozenset[str]
    place: str


def logged() -> Iterator[Logged]:
    """All calls of a logger in the program."""
    for path in sorted((ROOT / "streamagg").rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if LOGGER.search(text) else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                receiver = node.func.value
                if isinstance(receiver, ast.Name) and receiver.id == "log":
                    yield _of_call(node, node.func.attr, f"{path.relative_to(ROOT)}:{node.lineno}")


def _of_call(node: ast.Call, method: str, place: str) -> Logged:
    event, text = node.args[-2:]
    assert isinstance(event, ast.Constant), place
    assert isinstance(text, ast.Constant | ast.Name), f"{place}: the text must be a template"
    fields = {word.arg for word in node.keywords if word.arg is not None}
    if any(word.arg is None for word in node.keywords):
        fields |= {"summary": set(re.findall(r"{(\w+)", summary.TEXT)), "failed": {"traceback"}}[event.value]
    if isinstance(text, ast.Constant):
        assert set(re.findall(r"{(\w+)", text.value)) <= fields, f"{place}: a field of the text is missing"
    return Logged(event.value, method if method in LEVELS else "varies", frozenset(fields), place)


def documented() -> dict[str, tuple[str, set[str]]]:
    """Level and fields by event, as the page has them."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", PAGE, re.MULTILINE)
    return {event: (level, set(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows}


def test_the_page_lists_exactly_the_events_of_the_program() -> None:
    found = {each.event for each in logged()} | BY_OTHERS.keys()
    assert documented().keys() - found == set(), "these do not exist"
    assert found - documented().keys() == set(), "these are not documented"


def test_levels_and_fields_are_those_of_the_page() -> None:
    page = documented()
    for each in logged():
        level, fields = page[each.event]
        assert level in (each.level, "varies"), each
        assert each.fields <= fields, each
    for event, (level, fields) in BY_OTHERS.items():
        assert page[event] == (level, fields), event
    by_event: dict[str, set[str]] = {}
    for each in logged():
        by_event.setdefault(each.event, set()).update(each.fields)
    for event, used in by_event.items():
        assert page[event][1] == used, event


def test_names_are_in_order_and_snake_case() -> None:
    names = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert len(names) == len(set(names))


def test_nothing_in_the_program_logs_without_an_event() -> None:
    """Only the wrapper, what sets up logging, and what librdkafka is given use loggers themselves."""
    own = {"events.py", "telemetry/logs.py", "kafka/client.py"}
    users = {
        path.relative_to(ROOT / "streamagg").as_posix()
        for path in (ROOT / "streamagg").rglob("*.py")
        if "getLogger(" in path.read_text("utf-8")
    }
    assert users == own


def test_an_event_carries_its_name_and_fields_and_a_text_made_of_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Log("events.test").warning("worker_lost", "{worker} is gone, {share:.0%}", worker="a{b}", share=0.5)
    (record,) = caplog.records
    assert record.getMessage() == "a{b} is gone, 50%"
    assert event_of(record) == "worker_lost"
    assert vars(record)["fields"] == {"worker": "a{b}", "share": 0.5}
    assert record.levelno == logging.WARNING


def test_a_field_without_a_value_is_a_word_for_people_and_a_null_for_programs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Log("events.test").warning("slow", "last window {last}, {lag:,} behind", last=None, lag=None)
    (record,) = caplog.records
    assert record.getMessage() == "last window none, none behind"
    assert vars(record)["fields"] == {"last": None, "lag": None}


def test_a_line_below_the_level_costs_no_formatting(caplog: pytest.LogCaptureFixture) -> None:
    class Unspeakable:
        def __format__(self, spec: str) -> str:
            raise AssertionError("formatted")

    caplog.set_level(logging.INFO, "events.test")
    Log("events.test").debug("quiet", "{thing}", thing=Unspeakable())
    assert not caplog.records
