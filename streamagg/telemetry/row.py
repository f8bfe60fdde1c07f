"""A metric as a row of a table, and the family of samples that is made of it when somebody asks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Generic, Literal, TypeVar

from prometheus_client.metrics_core import Metric

from streamagg.model.measured import Distribution

Kind = Literal["counter", "gauge", "histogram", "summary", "info"]
Value = float | Distribution
Sample = tuple[tuple[str, ...], Value]
"""Values of the labels, and the value."""
Seen = TypeVar("Seen", contravariant=True)
"""What samples are taken from."""
_SUFFIX: Final = {"counter": "_total", "info": "_info"}
"""What the name of a family lacks that its samples have."""


@dataclass(frozen=True, slots=True)
class Row(Generic[Seen]):
    """One metric; ``read`` takes its samples."""

    name: str
    """As it is exposed, with ``_total`` or ``_info``."""
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Seen], Iterable[Sample]]
    bounds: Sequence[float] = ()
    """Of a histogram."""


def family(row: Row[Seen], seen: Seen) -> Metric:
    """All samples of a metric."""
    found = Metric(row.name.removesuffix(_SUFFIX.get(row.kind, "")), row.help, row.kind)
    for values, value in row.read(seen):
        labels = dict(zip(row.labels, values, strict=True))
        if isinstance(value, Distribution):
            _add_buckets(found, labels, value, row.bounds)
        else:
            found.add_sample(row.name, labels, value)
    return found


def _add_buckets(
    family: Metric, labels: dict[str, str], value: Distribution, bounds: Sequence[float]
) -> None:
    below = list(accumulate(value.counts))
    for bound, count in zip((*map(str, bounds), "+Inf"), below, strict=True):
        family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
    family.add_sample(f"{family.name}_count", labels, below[-1])
    family.add_sample(f"{family.name}_sum", labels, value.sum)
