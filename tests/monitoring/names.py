"""Which metrics of streamagg a text names, and which there are."""

import re
from typing import Final

from streamagg.ingest import figures
from streamagg.serve import figures as serve_figures
from streamagg.telemetry import table

_NAME: Final = re.compile(r"(?<![\w.-])streamagg_[a-z0-9_]*[a-z0-9](?![\w.-])")
_PARTS: Final = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}

_ROWS: Final = (*table.ROWS, *figures.ROWS, *serve_figures.ROWS)
METRICS: Final = frozenset(row.name for row in _ROWS)
OF_A_RUN: Final = frozenset(row.name for row in table.ROWS)
_OF_SERIES: Final = {row.name + part: row.name for row in _ROWS for part in ("", *_PARTS.get(row.kind, ()))}


def series_in(text: str) -> set[str]:
    """Names of series, as in expressions: ``streamagg_stage_seconds_sum`` is one."""
    return set(_NAME.findall(text))


def metrics_in(text: str) -> set[str]:
    """Names of metrics; that of a series which no metric has stays as it is."""
    return {_OF_SERIES.get(name, name) for name in series_in(text)}
