"""A new setting is one row of the table, one field, and the place where it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import typer

from streamagg.cli import VERBS, VerbCommand
from streamagg.cli import options as opt
from streamagg.errors import SettingsError
from streamagg.model import settings as model
from streamagg.settings.parsers import choice, whole_number
from streamagg.settings.resolve import Resolver
from streamagg.settings.table import SETTINGS, WINDOWS, Setting

SHARPNESS = Setting(
    "sharpness", whole_number(1, 9), "How sharp.", "N", WINDOWS, "3", verbs="run count", fills="sharpness_n"
)
COLOUR = Setting(
    "colour",
    choice("red", "green", "blue"),
    "Colour of a window.",
    "WORD",
    WINDOWS,
    default_note="none",
    verbs="run",
    repeated=True,
)


@dataclass(frozen=True, slots=True)
class Wider(model.WindowSettings):
    """The settings of windows with a field more for each of the rows above."""

    sharpness_n: int = 3
    colour: tuple[str, ...] = ()


@pytest.fixture(autouse=True)
def _two_rows_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in (SHARPNESS, COLOUR):
        monkeypatch.setitem(SETTINGS, row.name, row)


def flags_of(arguments: Sequence[str]) -> Mapping[str, Any]:
    """What ``run`` gets of a command line; nothing if that asks for help."""
    given: dict[str, Any] = {}

    def run(flags: opt.Flags) -> None:
        given.update(flags)

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=VerbCommand)(opt.with_settings(run))
    app(arguments, standalone_mode=False)
    return given


def filled(
    arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None, path: Path | None = None
) -> Wider:
    return Resolver(flags_of(arguments), environ or {}, path)._filled(Wider)


def test_a_row_and_a_field_are_a_setting(tmp_path: Path) -> None:
    path, variable = tmp_path / "settings.toml", {"STREAMAGG_SHARPNESS": "5"}
    path.write_text("sharpness = 4\n", "utf-8")
    assert [
        filled().sharpness_n,
        filled(path=path).sharpness_n,
        filled(environ=variable, path=path).sharpness_n,
        filled(["--sharpness", "6"], variable, path).sharpness_n,
    ] == [3, 4, 5, 6]
    with pytest.raises(SettingsError, match=r"^sharpness = '0' \(flag --sharpness\) must be a whole number"):
        filled(["--sharpness", "0"])


def test_its_flag_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    flags_of(["--help"])
    windows = capsys.readouterr().out.split(f"{WINDOWS}:\n")[1]
    assert "--sharpness N" in windows
    assert "How sharp. [3]" in windows
    assert "--colour WORD" in windows


def test_what_is_repeated_is_a_list_wherever_it_is_given(tmp_path: Path) -> None:
    path, variable = tmp_path / "settings.toml", {"STREAMAGG_COLOUR": "green, blue"}
    path.write_text('colour = ["blue", "red"]\n', "utf-8")
    assert [
        filled().colour,
        filled(path=path).colour,
        filled(environ=variable, path=path).colour,
        filled(["--colour", "red", "--colour", "red"], variable, path).colour,
    ] == [(), ("blue", "red"), ("green", "blue"), ("red", "red")]


@pytest.mark.parametrize("written", ['["red", 7]', "7", '"red,pink"', '[["red"]]', "[{ red = 1 }]", '""'])
def test_each_of_a_list_must_be_valid(tmp_path: Path, written: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"colour = {written}\n", "utf-8")
    with pytest.raises(SettingsError, match=r"^colour = .* must be one of red, green, blue\.$"):
        filled(path=path)


def test_rows_name_verbs() -> None:
    assert {verb for row in SETTINGS.values() for verb in row.verbs.split()} <= set(VERBS)
    assert all(row.verbs for row in SETTINGS.values())


def test_the_fields_that_no_row_fills_are_few() -> None:
    """Classes of settings, lists of files, and what is worked out: a typing error in a row shows here."""
    by_table = {row.field for row in SETTINGS.values()}
    kinds = (
        model.WindowSettings,
        model.CeilingSettings,
        model.DecodeSettings,
        model.KafkaSettings,
        model.PipelineSettings,
        model.RunSettings,
        model.CountSettings,
        model.AdviseSettings,
    )
    by_hand = {field.name for kind in kinds for field in fields(kind)} - by_table
    parts = {"window", "ceiling", "decode", "kafka", "pipeline", "client", "files"}
    assert by_hand == parts | {"start_ms", "hash_seed", "state_topic", "zone_data"}
