"""The figures of ``serve``, without one."""

import sys
from typing import Any

import numpy as np
import pytest

from bench.render import REPORT
from bench.serve import figures, stores
from bench.serve.asking import DAY_S, LEAST_S, START_S, intervals, samples
from bench.serve.beside import checksum

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads /proc")

MS = {"p50": 1.0, "p90": 2.0, "p99": 1_234.5, "max": 4.0}
ROW = {"what": "any", "questions": 9, "ms": MS, "cpu_ms": 3.0, "memory_mb": 5}
MADE = {"command": "python -m bench.serve", "made": "2026-11-29T00:00:00+00:00"}
FOUND: dict[str, dict[str, Any]] = {
    "serve-series": {"rows": [ROW, {"what": "by hand", "questions": 9, "ms": MS}]},
    "serve-users": {"rows": [ROW]},
    "serve-groups": {"rows": [ROW], "disk_mb": 7, "memory_mb": 8},
    "serve-live": {
        "clients": 1_000,
        "windows": 60,
        "cores": 0.05,
        "idle_cores": 0.01,
        "ms": MS,
        "missed": 0,
        "memory_mb": 90,
    },
    "serve-fresh": {
        "rows": [ROW],
        "age_ms": MS,
        "cores": {"serve": 0.5},
        "messages_a_second": 10_000,
        "max_lag_ms": 200,
    },
    "serve-beside": {
        "rows": [ROW, {"what": "other", "agrees": False, "ms": MS}, {"what": "none", "unavailable": "why"}],
        "versions": {"duckdb": "2"},
    },
}


@pytest.mark.parametrize("name", figures.FIGURES)
def test_each_part_has_its_place_in_the_report(name: str) -> None:
    (block,) = figures.FIGURES[name]({**FOUND[name], **MADE})
    assert block.name == name
    assert f"<!-- bench:{name} -->" in REPORT.read_text()
    assert "1,234" in block.markdown
    assert "2026-11-29" in block.markdown


def test_an_answer_that_differs_and_one_that_was_not_to_be_had_are_told() -> None:
    (block,) = figures.beside({**FOUND["serve-beside"], **MADE})
    assert "**no**" in block.markdown
    assert "| none | - | - | - | - | - | - | why |" in block.markdown


def test_questions_are_of_the_day_that_is_stored() -> None:
    for tag, begin, end in intervals(200, every=stores.SLICE):
        assert tag % stores.SLICE == 0
        assert START_S <= begin <= end - LEAST_S
        assert end <= START_S + DAY_S
    assert samples(3, 5, 6).startswith("/v1/series?from=5&to=6&points=1000")


def test_a_stretch_is_the_same_again_and_in_order() -> None:
    one, other = (stores.chunk(stores.START_MS, 5_000, 100) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))
    assert len(one.starts) == len(one.tags) == one.values.shape[1]
    assert np.all(np.diff(one.starts) >= 0)
    assert set(one.tags.tolist()) <= set(range(0, stores.TAGS, 100))


def test_a_checksum_knows_places_and_gaps() -> None:
    assert checksum([[1.0, None, 2.0]]) == 7
    assert checksum([[1.0, 2.0, None]]) == 5
