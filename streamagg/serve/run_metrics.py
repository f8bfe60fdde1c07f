"""What only the run knows: late and rejected records, read off its metrics page.

Published records do not tell of records that are in no window. The figures are those of the processes that
answer, since these began: a standby has counted nothing, a leader that is gone tells nothing any more.
"""

import http.client
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

EVERY_S: Final = 10.0
"""So often it is asked."""
TIMEOUT_S: Final = 5.0
MOST_BYTES: Final = 16 << 20
CONSUMED: Final = "streamagg_records_consumed_total"
LATE: Final = "streamagg_records_late_total"
REJECTED: Final = "streamagg_records_rejected_total"
BEGAN: Final = "streamagg_start_timestamp_seconds"
_NAMES: Final = (CONSUMED, LATE, REJECTED, BEGAN)
_OPEN: Final = build_opener(ProxyHandler({}))
"""Whoever stands between this process and the rest of the world has no business with it."""


class RunFigures(NamedTuple):
    """Records since a time in seconds."""

    since: float
    consumed: int
    late: int
    rejected: int


class RunMetrics:
    """A thread that asks, if there is anybody to ask."""

    def __init__(self, pages: Sequence[str], tell: Callable[[RunFigures | None], None]) -> None:
        """``tell`` is called with each answer, None where there is none."""
        self._pages = pages
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="run-metrics")

    def start(self) -> None:
        """Begin."""
        if self._pages:
            self._thread.start()

    def stop(self) -> None:
        """Come to an end."""
        self._stop.set()
        if self._pages:
            self._thread.join()

    def _ask(self) -> None:
        while not self._stop.is_set():
            self._tell(together([found for page in self._pages if (found := _ask(page)) is not None]))
            self._stop.wait(EVERY_S)


def _ask(address: str) -> RunFigures | None:
    """None where nobody answers, or somebody else."""
    try:
        with _OPEN.open(address, timeout=TIMEOUT_S) as answer:
            return figures_of(answer.read(MOST_BYTES).decode())
    except (OSError, http.client.HTTPException, ValueError):
        return None


def figures_of(page: str) -> RunFigures | None:
    """None for metrics of something else, and before the run has begun to read. Raises ValueError."""
    found = dict.fromkeys(_NAMES, 0.0)
    named = set()
    for family in text_string_to_metric_families("\n".join(_lines(page)) + "\n"):
        for sample in family.samples:
            found[sample.name] += sample.value
            named.add(sample.name)
    if not {BEGAN, CONSUMED} <= named:
        return None
    return RunFigures(found[BEGAN], int(found[CONSUMED]), int(found[LATE]), int(found[REJECTED]))


def _lines(page: str) -> Iterable[str]:
    """Those of the metrics that are wanted: a page may have thousands."""
    return (line for line in page.splitlines() if line.startswith(_NAMES))


def together(found: Sequence[RunFigures]) -> RunFigures | None:
    """Of all processes."""
    if not found:
        return None
    return RunFigures(
        min(one.since for one in found), *(map(sum, zip(*(one[1:] for one in found), strict=True)))
    )
