"""The dashboard: what is committed is what its source makes, and Prometheus and Grafana can read it."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from deploy.monitoring.dashboard import FILE, built, text
from deploy.monitoring.panels import COLUMNS, DATASOURCE, selected
from tests.support.prometheus import promtool

PANELS: list[dict[str, Any]] = built()["panels"]


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            yield target["expr"]


def test_the_committed_file_is_what_its_source_makes() -> None:
    assert FILE.read_text("utf-8") == text(), "run: .venv/bin/python -m deploy.monitoring.dashboard"


def test_promtool_can_read_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__(rate_interval|range)", "5m", expression)}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_every_metric_is_of_the_job_and_the_instances_chosen() -> None:
    for expression in expressions():
        for _, labels in re.findall(r"(streamagg_\w+)(\{[^}]*\})?", expression):
            assert 'job="$job", instance=~"$instance"' in labels, expression


def test_labels_of_an_expression_are_kept() -> None:
    chosen = 'job="$job", instance=~"$instance"'
    assert selected('streamagg_a{k="v"} / streamagg_b') == (
        f'streamagg_a{{{chosen}, k="v"}} / streamagg_b{{{chosen}}}'
    )


def test_the_first_row_answers_the_question() -> None:
    assert (PANELS[0]["type"], PANELS[0]["title"]) == ("row", "Are the counts right and on time?")


def test_panels_are_numbered_placed_side_by_side_and_explained() -> None:
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for panel in PANELS:
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]


def test_the_source_of_all_data_can_be_chosen() -> None:
    variables = {variable["name"]: variable for variable in built()["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    asking = [panel for panel in PANELS if panel["type"] != "row"]
    for panel in (*asking, variables["job"], variables["instance"]):
        assert panel["datasource"] == DATASOURCE
        assert all(target["datasource"] == DATASOURCE for target in panel.get("targets", ()))
