"""docs/serve.md says what ``serve`` does."""

import re
from pathlib import Path

from streamagg.http.meter import REFUSALS
from streamagg.serve.api.endpoints import ENDPOINTS, MOST_ROWS
from streamagg.serve.api.live import HEARTBEAT_S, MOST_WAITING, REMEMBERED
from streamagg.serve.figures import ROWS
from streamagg.serve.store.store import FREE_BYTES
from streamagg.serve.theta import CONFIDENCE, NOMINAL
from streamagg.settings.table import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text("utf-8")
TEXT = " ".join(PAGE.split())


def test_metrics() -> None:
    rows = re.findall(r"^\| `(streamagg_\w+)` \| (\w+) \| ([^|]*)\| ([^|]*) \|$", PAGE, re.MULTILINE)
    found = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows]
    assert found == [(row.name, row.kind, row.labels, row.help) for row in ROWS]
    assert all(f"`{reason}`" in PAGE.split("## Metrics")[1] for reason in REFUSALS)


def test_questions_and_their_parameters() -> None:
    """Those that all have (tz, explain) stand in sections of their own."""
    told = dict(re.findall(r"^\| `(/v1/\w+)\?([^`]*)`", PAGE, re.MULTILINE))
    for endpoint in ENDPOINTS:
        names = {parameter.name for parameter in endpoint.parameters} - {"tz", "explain", "group"}
        given = {word.partition("=")[0] for word in told[endpoint.path].split("&")} - {"group.NAME"}
        assert given == names, endpoint.path


def test_limits() -> None:
    for text in (
        f"{MOST_ROWS:,} rows an answer",
        f"{MOST_WAITING >> 10} KiB behind",
        f"the last {REMEMBERED:,} events",
        f"Every {HEARTBEAT_S:.0f} seconds",
        f"less than {FREE_BYTES >> 20} MB left",
        f"up to {NOMINAL:,} users in the union",
        f"in {CONFIDENCE * 100:.0f} of 100 answers",
    ):
        assert text in TEXT, text


def test_flags() -> None:
    own = {"--from", "--keep", "--calendar", "--top", "--max-groups"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", PAGE)) - own
    assert named <= {row.flag for row in SETTINGS.values() if "serve" in row.verbs.split()}
    assert len(named) > 6
