"""What is published is as its JSON Schema says, and what the docs show of it, too."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamagg.cli import execute
from streamagg.core.late_references import LateReferences
from streamagg.core.windows import Windows
from streamagg.errors import ExitCode
from streamagg.model.batch import Batch
from streamagg.model.rejections import REASONS
from streamagg.model.results import RECORDS, USERS, Value, WindowTable
from streamagg.model.settings import KafkaSettings, WindowSettings
from streamagg.sinks import schema
from streamagg.sinks.json_records import render, render_late
from streamagg.sources.kafka import dead_letters
from tests.support.published import check_published, faults, validator

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.name: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
OUTPUT = PAGES["output.md"]
OF_PUBLISHED = {"cnt", "granularity", "calendar", "late_ms", "v"}
"""What has one of these in the docs shows something that is published."""

WINDOW = {"ts": 60, "cnt": 5, "granularity": 60, "records": 6, "partial": False, "v": 1}
GROUP = {**WINDOW, "group": {"country": "DE", "page.section": None}}
PERIOD = {**WINDOW, "calendar": "day", "end": 86_460}
PERIOD_GROUP = {**PERIOD, "group": {"country": None}}
LATE = {
    "topic": "visits",
    "partition": 3,
    "offset": 1207,
    "time": 59.5,
    "window": 0,
    "late_ms": -3,
    "closed_early": True,
    "v": 1,
}
LETTER = {"reason": "bad_json", "topic": "visits", "partition": "0", "offset": "12"}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "window": WINDOW,
    "group": GROUP,
    "period": PERIOD,
    "period_group": PERIOD_GROUP,
    "running": {**PERIOD, "through": 7_200, "final": False},
    "running_group": {**PERIOD_GROUP, "through": 86_460, "final": True},
    "late": LATE,
    "dead_letter_headers": LETTER,
}

OF_COUNTS = [name for name in EXAMPLES if name not in ("late", "dead_letter_headers")]


def without(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def examples(page: str) -> Iterator[dict[str, Any]]:
    """Objects of JSON in a page that show something published, wherever they stand."""
    for match in re.finditer(r'\{\s*"', page):
        try:
            shown, _ = json.JSONDecoder().raw_decode(page, match.start())
        except json.JSONDecodeError:
            assert not re.match(r'\{\s*"(ts|topic)"', page[match.start() :]), page[match.start() :][:200]
            continue
        # A manifest has a version as well, and is no record.
        if shown.keys() & OF_PUBLISHED and "epoch" not in shown:
            yield shown


class TestWhatTheProgramWrites:
    def test_windows(self) -> None:
        """Whole seconds, milliseconds, a window that begins before 1970, an estimate, one without records."""
        counted = {USERS: Value(5), RECORDS: Value(6)}
        rows = [
            counted,
            {USERS: Value(0), RECORDS: Value(0)},
            {USERS: Value(100_000, 0.0118), RECORDS: Value(200_000)},
        ]
        for settings in (WindowSettings(), WindowSettings(1_500, 500), WindowSettings(1)):
            for number in (-1, 0, 24_470_740):
                for row in rows:
                    table = WindowTable(number, number < 0, row)
                    check_published([value for _, value in render(Windows(settings), table)], "window")

    @pytest.mark.parametrize("user", ["uid", "none"])
    def test_groups_and_measures(self, user: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Groups of text and of null; all kinds of measures, also without a value; too many groups."""
        path = tmp_path / "visits.jsonl"
        rows: list[dict[str, Any]] = [
            {"ts": 1, "uid": "a", "at": {"country": "DE"}, "price": 0.1, "n": 2**53},
            {"ts": 2, "uid": "b", "at": {"country": None}, "price": "12"},
            {"ts": 3, "uid": "b", "at": {"country": "é" * 128}, "price": -1e300},
            {"ts": 64, "uid": "b", "at": {"country": True}, "paid": 1, "price": 3},
        ]
        path.write_text("\n".join(map(json.dumps, rows)))
        ops = ("count", "sum", "avg", "min", "max", "first", "last", "uniques")
        measures = [f"--measure={op}_of_price={op}(price)" for op in ops]
        given = ["--user-field", user, "--group-by", "at.country", "--group-by", "paid", *measures]
        ceiling = ["--max-groups", "2", "--above-max-groups", "totals"]
        kinds = []
        for more in ([], ["--top", "1"], ceiling):
            assert (
                execute(["count", str(path), "--inline", "--format", "jsonl", *given, *more]) == ExitCode.OK
            )
            lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            for line in lines:
                assert faults(line, "group" if "group" in line else "window") == []
            kinds.append(["group" in line for line in lines])
        assert kinds == [
            [False, True, True, True, False, True],
            [False, True, False, True],
            [False, False, True],
        ]

    def test_late_references(self) -> None:
        columns = (np.array(column) for column in ([0, 1_207], [0, 59_999], [65_000, 2**41]))
        references = LateReferences(3, *columns, closed_early=True)
        check_published(
            [value for _, value in render_late("visits", Windows(WindowSettings()), references)], "late"
        )

    def test_headers_of_dead_letters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of each reason, with and without a Kafka timestamp, and of a record that is too large."""
        monkeypatch.setattr(dead_letters, "Producer", lambda _: None)
        letters = dead_letters.KafkaDeadLetters(KafkaSettings(), "dead", "visits")
        origins = [(b"key", 1_468_244_384_000), (None, -1)]
        offsets = np.array([7, 8], np.int64)
        batch = Batch(0, 3, 7, 9, -1, False, [b"{", None], offsets, origin=origins.__getitem__)
        written = [letters._letter(batch, at, reason) for at in range(2) for reason in REASONS]
        for letter in [*written, *(one.omitted() for one in written)]:
            headers = {name: bytes(value or b"").decode() for name, value in letter.headers}
            assert faults(headers, "dead_letter_headers") == []


class TestTheSchema:
    def test_there_is_one_example_of_each_kind(self) -> None:
        assert tuple(EXAMPLES) == schema.RECORDS
        parts = {part["$ref"] for part in schema.schema()["anyOf"]}
        assert parts == {f"#/$defs/{name}" for name in EXAMPLES if name != "dead_letter_headers"}

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_each_kind_is_itself_and_no_other(self, name: str) -> None:
        assert {kind for kind in EXAMPLES if not faults(EXAMPLES[name], kind)} == {name}
        assert validator().is_valid(EXAMPLES[name]) == (name != "dead_letter_headers")

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_each_field_that_is_there_is_needed(self, name: str) -> None:
        """``cnt`` is not: users need not be counted."""
        record = EXAMPLES[name]
        assert {field for field in record if not faults(without(record, field), name)} == {"cnt"} & {*record}

    @pytest.mark.parametrize(
        "name", [name for name in EXAMPLES if name not in ("late", "dead_letter_headers")]
    )
    def test_measures_are_numbers_or_null_under_any_name(self, name: str) -> None:
        measures = {"bytes": 2**53, "slowest": 12.5, "price": None, "a1_": -0.25}
        assert faults({**EXAMPLES[name], **measures}, name) == []
        for wrong in ("12", True, [1], {"p50": 1}):
            assert faults({**EXAMPLES[name], "bytes": wrong}, name)
        for wrong_name in ("a b", "a.b", "", "start", "key"):
            assert faults({**EXAMPLES[name], wrong_name: 1}, name)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("window", {"cnt": 5.5}),
            ("window", {"cnt": -1}),
            ("window", {"cnt": None}),
            ("window", {"ts": "60"}),
            ("window", {"granularity": 0}),
            ("window", {"records": True}),
            ("window", {"partial": 0}),
            ("window", {"v": 2}),
            ("window", {"approximate": True}),
            ("window", {"error": 0.01}),
            ("window", {"approximate": False, "error": 0.01}),
            ("window", {"groups": 1.5}),
            ("window", {"groups": None}),
            ("window", {"groups_dropped": False}),
            ("window", {"final": False}),
            ("window", {"end": 120}),
            ("group", {"group": {}}),
            ("group", {"group": {"country": 1}}),
            ("group", {"group": dict.fromkeys("abcde", "")}),
            ("group", {"group": {"country": "x" * 257}}),
            ("group", {"groups": 3}),
            ("period", {"calendar": 5}),
            ("period", {"calendar": "day 1"}),
            ("period", {"through": 60}),
            ("running", {"final": None}),
            ("running", {"through": "60"}),
            ("running_group", {"groups": 3}),
            ("late", {"late_ms": 0.5}),
            ("late", {"more": 1}),
            ("dead_letter_headers", {"reason": "bad_luck"}),
            ("dead_letter_headers", {"offset": 12}),
            ("dead_letter_headers", {"offset": ""}),
            ("dead_letter_headers", {"bytes": "1"}),
        ],
    )
    def test_a_wrong_record_is_refused(self, name: str, change: dict[str, Any]) -> None:
        wrong = {**EXAMPLES[name], **change}
        assert faults(wrong, name)
        assert faults(wrong)

    def test_what_a_record_of_groups_may_have_besides(self) -> None:
        assert faults({**WINDOW, "groups": 0}, "window") == []
        assert faults({**WINDOW, "groups": 200_000, "groups_dropped": True}, "window") == []
        assert faults({**PERIOD, "calendar": "90m"}, "period") == []
        assert faults({**WINDOW, "approximate": True, "error": 0.0118}, "window") == []


class TestTheDocs:
    @pytest.mark.parametrize("page", [page for page, text in PAGES.items() if [*examples(text)]])
    def test_examples_are_as_the_schema_says(self, page: str) -> None:
        assert [faults(shown) for shown in examples(PAGES[page]) if faults(shown)] == []

    def test_examples_are_found(self) -> None:
        assert {"README.md", "lateness.md", "output.md"} <= {
            page for page in PAGES if [*examples(PAGES[page])]
        }
        kinds = {kind for shown in examples(OUTPUT) for kind in EXAMPLES if not faults(shown, kind)}
        assert {"window", "group", "period", "period_group", "running"} <= kinds

    def test_every_field_of_windows_and_periods_so_far_is_explained(self) -> None:
        parts = schema.schema()["$defs"]
        fields = [
            name
            for part in ("counts", "of_all", "so_far")
            for name, of in parts[part]["properties"].items()
            if of
        ]
        explained = re.findall("`([a-z_]+)`", " ".join(re.findall(r"^\|([^|]+)\|", OUTPUT, re.MULTILINE)))
        assert sorted(explained) == sorted(fields)

    def test_the_kinds_are_named(self) -> None:
        assert [name for name in schema.RECORDS if f"`{name}`" not in OUTPUT] == []

    def test_the_headers_are_those_of_the_page(self) -> None:
        headers = schema.schema()["$defs"]["dead_letter_headers"]["properties"]
        section = PAGES["decoding.md"].split("## Dead letters\n")[1].split("\n## ")[0]
        named = re.findall("`([a-z]+)`", " ".join(re.findall(r"^\|([^|]+)\|", section, re.MULTILINE)))
        assert named == list(headers)


class TestTheVerb:
    def test_it_prints_the_whole_schema(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["schema"]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out) == schema.schema()

    def test_it_prints_one_kind_with_what_that_needs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["schema", "late"]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)["$defs"].keys() == {"late", "version"}

    def test_a_kind_that_there_is_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["schema", "counts"]) == ExitCode.USAGE
        assert "There is no record called counts: choose one of window, group," in capsys.readouterr().err
