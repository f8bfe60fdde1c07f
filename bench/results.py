"""What a benchmark of one topic came to: every run as it was, and the figures that are shown of it."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from bench.measure import Run, Verdict

FLOOR: Final = "bare-2"
"""The row that the others are compared with."""
FILE_FLOOR: Final = "decode-file"
"""The same for those that read a file."""
MILLION: Final = 1_000_000


@dataclass(slots=True)
class Row:
    """All runs of one contender on one topic."""

    name: str
    title: str
    remark: str
    records: int
    """Of its topic: slow contenders get a tenth."""
    versions: dict[str, str] = field(default_factory=dict)
    unavailable: str | None = None
    """Why there are no runs."""
    runs: list[Run] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Records a second of the runs that were not failures, ascending."""
        return sorted(self.records / run.seconds for run in self.runs if run.seconds)

    @property
    def rate(self) -> float | None:
        """Their median."""
        return statistics.median(self.rates) if self.rates else None

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of a million records."""
        return self._median([run.cost.cpu_seconds for run in self._good]) * MILLION / self.records

    @property
    def broker_cpu_per_million(self) -> float:
        """CPU seconds of the broker for a million records."""
        return self._median([run.cost.broker_cpu_seconds for run in self._good]) * MILLION / self.records

    @property
    def peak_mb(self) -> float:
        """Memory of all processes together."""
        return self._median([run.cost.peak_bytes for run in self._good]) / MILLION

    @property
    def verdict(self) -> Verdict | None:
        """Of the run that was furthest from the truth; None where nothing was counted."""
        verdicts = [run.verdict for run in self.runs if run.verdict is not None]
        return min(verdicts, key=lambda verdict: (verdict.right, -verdict.extra), default=None)

    @property
    def is_right(self) -> bool:
        """Every window of every run, or there was nothing to count."""
        return self.verdict is None or (self.verdict.right == self.verdict.windows and not self.verdict.extra)

    @property
    def errors(self) -> list[str]:
        """Of the runs that failed."""
        return [run.error for run in self.runs if run.error is not None]

    @property
    def _good(self) -> list[Run]:
        return [run for run in self.runs if run.error is None]

    @staticmethod
    def _median(values: list[float]) -> float:
        return statistics.median(values) if values else 0.0


@dataclass(slots=True)
class Results:
    """One file under ``bench/results``."""

    topic: str
    partitions: int
    records: int
    record_bytes: int
    compression: str
    command: str
    made: str
    """When, in UTC."""
    machine: dict[str, str]
    rows: list[Row]

    def row(self, name: str) -> Row | None:
        """The row of a contender, if it is there and has a figure."""
        return next((row for row in self.rows if row.name == name and row.rate is not None), None)

    @property
    def disturbed(self) -> list[str]:
        """Names of the contenders with a run during which something else used the machine."""
        return [row.name for row in self.rows if any(run.cost.is_disturbed for run in row.runs)]

    @property
    def floor(self) -> Row | None:
        """What the others are compared with, if it has a figure."""
        return self.row(FLOOR) or self.row(FILE_FLOOR)

    def by_rate(self) -> list[Row]:
        """The fastest first, then what failed, then what is not available."""
        return sorted(self.rows, key=lambda row: (row.unavailable is not None, -(row.rate or 0)))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def read_results(path: Path) -> Results:
    """What ``save`` has written."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


def windows_cell(row: Row) -> str:
    """How many windows are right, and what is the matter with the others."""
    return "-" if row.verdict is None else str(row.verdict)


def note(row: Row) -> str:
    """The remark, and whatever went wrong."""
    parts = [row.remark]
    if row.unavailable is not None:
        parts.append(f"not available: {row.unavailable}")
    if row.errors:
        parts.append(f"{len(row.errors)} of {len(row.runs)} runs failed: {row.errors[-1]}")
    return "; ".join(part for part in parts if part)
