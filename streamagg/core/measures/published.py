"""Which measures are computed, in the order of their summaries."""

from streamagg.core.measures.contract import Measure
from streamagg.core.measures.records import Records
from streamagg.core.measures.uniques import Uniques
from streamagg.model.columns import USER
from streamagg.model.settings import CeilingSettings

Measures = tuple[Measure, ...]


def measures_of(ceiling: CeilingSettings) -> tuple[Uniques, Records]:
    """Unique users, up to a ceiling, and records."""
    return Uniques(USER, ceiling), Records()
