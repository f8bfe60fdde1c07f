"""The runbook: a section for each alert, and what it names exists."""

import json
import re
from pathlib import Path

from deploy.monitoring.dashboard import built
from tests.monitoring.runbook import RUNBOOK, queries
from tests.support.prometheus import ALERTS, MONITORING, promtool

DOCS = MONITORING.parents[1] / "docs"
NAMES = re.findall(r"- alert: (\w+)", ALERTS.read_text("utf-8"))


def test_there_is_a_section_for_each_alert_and_no_other() -> None:
    assert re.findall(r"^## (Streamagg\w+)$", RUNBOOK, re.MULTILINE) == NAMES


def test_a_section_says_what_it_means_where_to_look_and_what_to_do() -> None:
    for section in RUNBOOK.split("\n## Streamagg")[1:]:
        parts = re.findall(r"^\*\*([\w ]+)\.\*\*", section, re.MULTILINE)
        assert parts == ["Meaning", "First look", "Remedy"], section.partition("\n")[0]


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"look:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "looks", "rules": rules}]}), "utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_every_link_leads_somewhere() -> None:
    for file, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", RUNBOOK):
        page = (DOCS / (file or "runbook.md")).resolve()
        assert page.is_file(), file
        if anchor:
            assert anchor in anchors(page.read_text("utf-8")), f"{file}#{anchor}"


def anchors(page: str) -> set[str]:
    """Those of the headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_event_of_the_log_exists() -> None:
    known = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "logs.md").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"events? ((?:`\w+`(?: \([^)]*\))?(?:, | and )?)+)", RUNBOOK)
    events = {event for names in named for event in re.findall(r"`(\w+)`", names)}
    assert len(events) > 5
    assert events - known == set()


def test_every_panel_it_names_exists() -> None:
    panels = {panel["title"] for panel in built()["panels"]}
    assert set(re.findall(r"panel \*([^*]+)\*", RUNBOOK)) <= panels
