"""Rows, panels and queries in Grafana's JSON model, and frequent expressions, as the dashboard needs them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Panel = dict[str, Any]
Steps = Sequence[tuple[float | None, str]]
"""Colours from a value on; the first has no lower end."""

COLUMNS: Final = 24
_INTERVAL: Final = "$__rate_interval"
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SELECTED: Final = 'job="$job", instance=~"$instance"'
_METRIC: Final = re.compile(r"(streamagg_[a-z_]+)(?:\{([^}]*)\})?")


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, without what the variables of the dashboard select, and what its lines are called."""

    expression: str
    legend: str = ""

    def target(self, ref: str, **more: Any) -> Panel:
        """The query with its letter."""
        return {
            "refId": ref,
            "datasource": DATASOURCE,
            "expr": selected(self.expression),
            "legendFormat": self.legend or "__auto",
            **more,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


def selected(expression: str) -> str:
    """The expression, of the job and the instances chosen in the dashboard only."""
    return _METRIC.sub(lambda m: f"{m[1]}{{{SELECTED}{', ' + m[2] if m[2] else ''}}}", expression)


def per_second(counter: str, by: str = "") -> str:
    """How fast a counter grows, by some labels."""
    return f"sum by ({by}) (rate({counter}[{_INTERVAL}]))"


def added(counter: str, by: str = "") -> str:
    """By how much a counter has grown since the point before, by some labels."""
    return f"sum by ({by}) (increase({counter}[{_INTERVAL}]))"


def quantile(share: float, histogram: str, interval: str = _INTERVAL, by: str = "") -> str:
    """What a share of the observations does not exceed, by some labels."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket[{interval}])))"


def stat(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "none",
    orange_from: float | None = None,
    red_from: float | None = None,
    steps: Steps | None = None,
) -> Panel:
    """One large number; green below the values given."""
    limits = [(orange_from, "orange"), (red_from, "red")]
    colours = steps or [(None, "green"), *((at, colour) for at, colour in limits if at is not None)]
    options = {
        "colorMode": "background",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _panel(
        "stat", title, description, [query], 3, 4, unit=unit, defaults=_thresholds(colours), options=options
    )


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    stacked: bool = False,
    width: int = 8,
) -> Panel:
    """Lines over time."""
    custom = {
        "drawStyle": "line",
        "fillOpacity": 30 if stacked else 8,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {"custom": custom, "min": 0}
    return _panel(
        "timeseries", title, description, queries, width, 8, unit=unit, defaults=defaults, options=options
    )


def heatmap(title: str, description: str, query: Query) -> Panel:
    """A histogram over time, in seconds; the query sums its buckets."""
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "yAxis": {"unit": "s"},
    }
    return _panel(
        "heatmap", title, description, [query], 8, 8, defaults={}, options=options, format="heatmap"
    )


def states(title: str, description: str, query: Query, names: Mapping[int, tuple[str, str]]) -> Panel:
    """A bar for each line, coloured by its value; ``names`` has the text and the colour of each."""
    mapping = {str(value): {"text": text, "color": colour} for value, (text, colour) in names.items()}
    defaults = {"mappings": [{"type": "value", "options": mapping}]}
    options = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9}
    return _panel("state-timeline", title, description, [query], 8, 8, defaults=defaults, options=options)


def table(title: str, description: str, query: Query) -> Panel:
    """The labels of the query's present samples, one line each."""
    hidden = {"Time": True, "Value": True, "job": True}
    shown = [{"id": "organize", "options": {"excludeByName": hidden}}]
    panel = _panel(
        "table", title, description, [query], 8, 8, defaults={}, options={}, format="table", instant=True
    )
    return {**panel, "transformations": shown}


def dashboard(uid: str, title: str, rows: Iterable[Row]) -> Panel:
    """The whole of it, with a number and a place for each panel."""
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": "Are the counts right and on time, and if not, why?",
        "tags": ["streamagg"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": list(_variables())},
        "panels": list(_placed(rows)),
    }


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    width: int,
    height: int,
    *,
    unit: str = "none",
    defaults: Panel,
    options: Panel,
    **of_targets: Any,
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0},
        "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": []},
        "options": options,
        "targets": [
            query.target(chr(ord("A") + number), **of_targets) for number, query in enumerate(queries)
        ],
    }


def _thresholds(steps: Steps) -> Panel:
    return {
        "color": {"mode": "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in steps],
        },
    }


def _variables() -> Iterator[Panel]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }
    jobs = "label_values(streamagg_build_info, job)"
    yield {**_labels("job", "Job", jobs), "multi": False, "includeAll": False}
    instances = 'label_values(streamagg_build_info{job="$job"}, instance)'
    everything = {"selected": True, "text": "All", "value": "$__all"}
    yield {
        **_labels("instance", "Instance", instances),
        "multi": True,
        "includeAll": True,
        "current": everything,
    }


def _labels(name: str, label: str, query: str) -> Panel:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        # Whenever the time range changes, so that what began meanwhile is offered.
        "refresh": 2,
        "sort": 1,
    }


def _placed(rows: Iterable[Row]) -> Iterator[Panel]:
    """Panels from left to right, a new line where one does not fit any more."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {"id": number, **_heading(row.title, y)}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            number += 1
            size = panel["gridPos"]
            if x + size["w"] > COLUMNS:
                x, y, height = 0, y + height, 0
            yield {"id": number, **panel, "gridPos": {**size, "x": x, "y": y}}
            x, height = x + size["w"], max(height, size["h"])
        y += height


def _heading(title: str, y: int) -> Panel:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place}
