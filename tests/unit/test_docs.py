"""The documentation says what the program does, and the other way round."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamagg.cli import advise as advise_verb
from streamagg.cli import count as count_verb
from streamagg.cli import run as run_verb
from streamagg.errors import ExitCode
from streamagg.kafka.client import TUNED, TUNED_CONSUMER
from streamagg.kafka.passthrough import REFUSED, REFUSED_FAMILIES
from streamagg.settings.table import SETTINGS
from tests.support import runbook_page

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS_PAGE = (DOCS / "settings.md").read_text("utf-8")


def table_rows(page: str, cells: int) -> Iterator[list[str]]:
    """The rows of the tables with so many columns, backquotes and heading lines taken away."""
    for line in page.splitlines():
        row = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(row) == cells and row[0].startswith(("`", *"0123456789")):
            yield [cell.replace("`", "") for cell in row]


def test_the_tables_of_settings_are_the_table_of_the_program() -> None:
    documented = {tuple(row) for row in table_rows(SETTINGS_PAGE, 5)}
    expected = {
        (
            row.flag,
            row.variable,
            row.name,
            row.default if row.default is not None else row.default_note,
            row.help,
        )
        for row in SETTINGS.values()
    }
    assert documented == expected


def test_the_settings_stand_under_the_headings_of_the_help() -> None:
    for panel in {row.panel for row in SETTINGS.values()}:
        section = SETTINGS_PAGE.split(f"## {panel}\n")[1].split("\n## ")[0]
        here = {row[2] for row in table_rows(section, 5)}
        assert here == {row.name for row in SETTINGS.values() if row.panel == panel}


def test_every_flag_in_the_page_exists() -> None:
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", SETTINGS_PAGE))
    own = {"--config", "--json", "--debug", "--version", "--help", "--no"}
    assert flags == {row.flag for row in SETTINGS.values()} | (own & flags)


def test_the_exit_codes_are_those_of_the_program() -> None:
    documented = {(int(code), name) for code, name, _ in table_rows(SETTINGS_PAGE, 3)}
    assert documented == {(int(code), code.name) for code in ExitCode}


def test_the_refused_client_settings_are_those_of_the_program() -> None:
    section = SETTINGS_PAGE.split("These are refused")[1].split("\n## ")[0]
    assert set(re.findall("`([^`]+)`", section)) - {"_cb", "sasl.kerberos.…", "./@:+-_"} == {
        *REFUSED,
        *REFUSED_FAMILIES,
    }


def test_the_tuned_client_settings_are_those_of_the_program() -> None:
    tuned = {f"{key}={str(value).lower()}" for key, value in {**TUNED, **TUNED_CONSUMER}.items()}
    assert {text for text in tuned if f"`{text}`" not in SETTINGS_PAGE} == set()


@pytest.mark.parametrize("verb", [run_verb.run, count_verb.count, advise_verb.advise])
def test_every_flag_of_a_verb_is_in_the_page(verb: Callable[..., None]) -> None:
    names = set(inspect.signature(verb).parameters) - {"files", "kafka"}
    assert {
        name for name in names if f"`--{name.rstrip('_').replace('_', '-')}" not in SETTINGS_PAGE
    } == set()


def test_the_runbook_of_the_page_is_that_of_the_docs() -> None:
    """``python -m tests.support.runbook_page`` writes it anew."""
    assert runbook_page.PAGE.read_text("utf-8") == runbook_page.runbook_page()
