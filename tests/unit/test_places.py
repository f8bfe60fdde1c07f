"""Where records come from and results go to, and what can be asked for between which places."""

from pathlib import Path

import pytest

from streamagg.errors import SettingsError
from streamagg.model.places import place_of, shown
from streamagg.model.settings import RunSettings
from streamagg.settings.resolve import Resolver

SECRET = "s3cr:t@x"


def resolved(flags: dict[str, object], environ: dict[str, str] | None = None) -> RunSettings:
    return Resolver(flags, environ or {}).run()


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("visits", "topic", "visits"),
        ("dir:/srv/counts", "directory", "/srv/counts"),
        ("postgresql://billing@db/usage", "postgres", "postgresql://billing@db/usage"),
        ("postgres:///usage", "postgres", "postgres:///usage"),
        ("-", "stream", "-"),
    ],
)
def test_a_text_names_a_place(text: str, kind: str, at: str) -> None:
    assert place_of(text) == (kind, at)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"postgresql://me:{SECRET}@db:5432/usage?a=b", "postgresql://me:***@db:5432/usage?a=b"),
        (f"postgresql://db/usage?password={SECRET}&a=b", "postgresql://db/usage?password=***&a=b"),
        (f"postgres:/me:{SECRET}@db", "postgres:/me:***@db"),
        ("postgresql://me@db:5432/usage", "postgresql://me@db:5432/usage"),
        ("visits", "visits"),
    ],
)
def test_a_password_is_not_shown(text: str, told: str) -> None:
    assert shown(text) == told


def test_paths_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = resolved({"input": "dir:in", "output": "dir:out"})
    assert (settings.input, settings.output) == (f"dir:{tmp_path}/in", f"dir:{tmp_path}/out")


def test_standard_input_is_read_here_and_to_its_end() -> None:
    settings = resolved({"input": "-", "output": "-"})
    assert settings.until_end
    assert settings.pipeline.inline
    assert resolved({"input": "-", "output": "-", "live": True}).live


def test_a_topic_of_its_own_keeps_what_no_offset_of_a_topic_can() -> None:
    assert resolved({"input": "dir:/in", "output": "out"}).state_topic == "out.streamagg.state"
    for input_, output in (("in", "out"), ("dir:/in", "-"), ("in", "dir:/out"), ("-", "out")):
        assert resolved({"input": input_, "output": output}).state_topic is None
    assert resolved({"input": "in", "output": "out", "calendar": ["day"]}).state_topic is not None


DIRECTORIES = {"input": "dir:/in", "output": "dir:/out"}
STREAMS = {"input": "-", "output": "-"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"input": "postgresql://db/usage", "output": "out"}, "input = .* must be a topic name, dir:PATH"),
        ({"input": "dir:", "output": "out"}, "dir:PATH"),
        ({"input": "in", "output": "file:///out"}, "postgresql://USER@HOST/DATABASE"),
        ({"input": "dir:/a", "output": "dir:/a"}, "results would be read as records"),
        ({"input": "dir:/a", "output": "dir:/a/b/../c"}, "results would be read as records"),
        ({**DIRECTORIES, "dead_letter": "d"}, "dead_letter = d .* needs topics as input and output"),
        ({"input": "dir:/in", "output": "out", "late_topic": "l"}, "needs topics as input and output"),
        ({"input": "in", "output": "-", "sketches": "s"}, "needs a topic as output"),
        (
            {"input": "in", "output": "dir:/out", "running": "r", "calendar": ["day"]},
            "needs a topic as output",
        ),
        ({"input": "in", "output": "dir:/out", "output_partitions": 2}, "needs a topic as output"),
        ({"input": "in", "output": "out", "keep": "90d"}, "needs a directory as output"),
        ({"input": "in", "output": "out", "create_tables": False}, "needs a database as output"),
        ({**DIRECTORIES, "delivery": "at-least-once"}, "delivery = at-least-once .* is for topics"),
        ({"input": "in", "output": "postgresql:///x", "delivery": "at-least-once"}, "is for topics"),
        ({**DIRECTORIES, "from": "latest"}, "from = latest .* files have no times"),
        ({**DIRECTORIES, "from": "2026-01-01T00:00:00Z"}, "files have no times"),
        ({**DIRECTORIES, "live": True}, "is for standard input"),
        ({"input": "in", "output": "out", "live": True}, "is for standard input"),
        ({"input": "in", "output": "out", "done_dir": "/d"}, "done_dir = /d .* needs a directory as input"),
        ({**DIRECTORIES, "done_dir": "/in/done"}, "would be read again"),
        ({"input": "dir:/tmp", "output": "out", "done_dir": "/proc/done"}, "another file system"),
        ({**STREAMS, "from": "earliest"}, "which is read once"),
        ({**STREAMS, "keep_open": True}, "which is read once"),
        ({**STREAMS, "live": True, "until_end": True}, "live = .* contradicts until_end"),
    ],
)
def test_what_does_not_go_together_is_told(given: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=why) as refused:
        resolved(given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "output",
    [f"postgresql://me:{SECRET}@db/usage", f"postgresql://db/usage?password={SECRET}", f"//me:{SECRET}@db"],
)
def test_no_error_holds_a_password(output: str) -> None:
    for flags, environ in (({"output": output}, {}), ({}, {"STREAMAGG_OUTPUT": output})):
        with pytest.raises(SettingsError) as refused:
            resolved({"input": "in", **flags}, environ)
        assert SECRET not in str(refused.value)
        assert "***" in str(refused.value)


def test_others_know_nothing_but_topics() -> None:
    with pytest.raises(SettingsError, match=r"output = - .* must be a topic here"):
        Resolver({"input": "in", "output": "-"}, {}).run_on_topics()
    with pytest.raises(SettingsError, match=r"input = dir:/in .* must be a topic here"):
        Resolver({"input": "dir:/in"}, {}).advise([])
