"""docs/ingest.md says what ``ingest`` does."""

import re
from pathlib import Path

from streamagg.http.connection import MOST_AHEAD, MOST_HEAD_BYTES, SPARE_CONNECTIONS, UNREAD_S
from streamagg.http.meter import REFUSALS
from streamagg.http.server import DRAIN_S, IDLE_S
from streamagg.ingest.app import FORMS, MOST_KEY_BYTES, ROUTES
from streamagg.ingest.destinations.contract import RECORD_BYTES
from streamagg.ingest.destinations.directory import MOST_FILE_BYTES
from streamagg.ingest.destinations.topic import GIVEN_UP_MS
from streamagg.ingest.figures import ROWS
from streamagg.ingest.records import MOST_RECORDS, MOST_TOLD
from streamagg.settings.table import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text("utf-8")
TEXT = " ".join(PAGE.split())


def test_metrics() -> None:
    rows = re.findall(r"^\| `(streamagg_\w+)` \| (\w+) \| ([^|]*)\| ([^|]*) \|$", PAGE, re.MULTILINE)
    found = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows]
    assert found == [(row.name, row.kind, row.labels, row.help) for row in ROWS]


def test_labels() -> None:
    for word in (*ROUTES, *REFUSALS):
        assert f"`{word}`" in PAGE.split("## Metrics")[1]


def test_media_types() -> None:
    for kind in FORMS:
        assert f"`{kind.decode()}`" in PAGE


def test_limits() -> None:
    for text in (
        f"{MOST_RECORDS:,} records",
        f"the first {MOST_TOLD}",
        f"up to {MOST_KEY_BYTES} bytes",
        f"{MOST_HEAD_BYTES >> 10} KiB of headers",
        f"{MOST_AHEAD} requests sent ahead",
        f"beyond {SPARE_CONNECTIONS} more",
        f"{UNREAD_S:.0f} s to take an answer, {IDLE_S} s between requests",
        f"within {DRAIN_S} s",
        f"{MOST_FILE_BYTES >> 20} MiB",
        f"after {GIVEN_UP_MS // 1_000} s",
        f"{RECORD_BYTES} bytes for each record",
    ):
        assert text in TEXT, text


def test_flags() -> None:
    own = {"--data-binary", "--input"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", PAGE)) - own
    assert named == {row.flag for row in SETTINGS.values() if "ingest" in row.verbs.split()} & named
    assert len(named) > 10
