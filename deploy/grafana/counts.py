"""Grafana dashboard of counts in PostgreSQL; ``python -m deploy.grafana.counts`` writes ``counts.json``."""

import json
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("counts.json")
DATASOURCE: Final = {"type": "grafana-postgresql-datasource", "uid": "streamagg-postgres"}
_OF_WINDOWS: Final = "FROM streamagg_results WHERE job = '$job' AND calendar IS NULL"
_OF_ALL: Final = f"{_OF_WINDOWS} AND key = ''"
Panel = dict[str, Any]


def _panel(
    kind: str, title: str, description: str, sql: str, place: tuple[int, int, int, int], **more: Any
) -> Panel:
    """One query; ``place``: x, y, width, height."""
    x, y, width, height = place
    form = "time_series" if kind == "timeseries" else "table"
    query = {"refId": "A", "datasource": DATASOURCE, "format": form, "rawQuery": True, "rawSql": sql}
    defaults = {"min": 0, "noValue": "none", **more}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [query],
    }


PANELS: Final = (
    _panel(
        "stat",
        "Unique users, freshest window",
        "Of all records together; nothing with --user-field none.",
        f"SELECT cnt {_OF_ALL} ORDER BY ts DESC LIMIT 1",
        (0, 0, 8, 5),
    ),
    _panel(
        "stat",
        "Users of the last day that is over",
        "With --calendar day.",
        "SELECT cnt FROM streamagg_results WHERE job = '$job' AND calendar = 'day' AND key = ''"
        " ORDER BY ts DESC LIMIT 1",
        (8, 0, 8, 5),
    ),
    _panel(
        "stat",
        "The freshest window ended before",
        "By the clock of the database.",
        f'SELECT extract(epoch FROM now() - "end") AS age {_OF_ALL} ORDER BY ts DESC LIMIT 1',
        (16, 0, 8, 5),
        unit="s",
    ),
    _panel(
        "timeseries",
        "Unique users of windows",
        "Each window; periods of calendars are not among them.",
        f'SELECT ts AS "time", cnt AS users {_OF_ALL} AND $__timeFilter(ts) ORDER BY ts',
        (0, 5, 24, 9),
    ),
    _panel(
        "timeseries",
        "Unique users of groups",
        "The ten with most records in the range; with --group-by.",
        f'SELECT ts AS "time", key AS metric, cnt AS users {_OF_WINDOWS} AND $__timeFilter(ts) AND key IN ('
        f"SELECT key {_OF_WINDOWS} AND $__timeFilter(ts) AND key <> '' GROUP BY key"
        " ORDER BY sum(records) DESC, key LIMIT 10) ORDER BY ts",
        (0, 14, 12, 9),
    ),
    _panel(
        "table",
        "Windows that are not what they would be",
        "Partial: reading began inside it. Approximate: above --max-users. Dropped: above --max-groups.",
        f"SELECT ts, cnt, partial, approximate, error, groups_dropped {_OF_ALL} AND $__timeFilter(ts)"
        " AND (partial OR approximate OR groups_dropped) ORDER BY ts DESC LIMIT 100",
        (12, 14, 12, 9),
    ),
)
JOBS: Final = "SELECT DISTINCT job FROM streamagg_jobs ORDER BY job"


def built() -> Panel:
    """The whole of it."""
    job = {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": DATASOURCE,
        "query": JOBS,
        "refresh": 1,
    }
    return {
        "id": None,
        "uid": "streamagg-counts",
        "title": "streamagg: counts",
        "description": "What was published to PostgreSQL.",
        "tags": ["streamagg"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [job]},
        "panels": [{"id": number, **panel} for number, panel in enumerate(PANELS, 1)],
    }


def text() -> str:
    """As it is committed."""
    return json.dumps(built(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
