"""Whether records fit the settings at all, and what to tell the user if nearly none does.

Now and then a record is rejected; if all are, a setting is wrong, and that must not look like success.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from streamagg.engine.reporting.minute_summary import Reasons
from streamagg.events import Log
from streamagg.model.messages import ColumnBlock, Misfit

FIRST_RECORDS: Final = 1_000
"""Records that are enough to judge by."""
SOON_S: Final = 60.0
"""Where little comes, so long is waited for the first thousand."""
FEW_RECORDS: Final = 20
"""Records that are enough after a minute."""
NEARLY_ALL: Final = 0.95
"""Not all: a few records may fit wrong settings by chance."""

_FATES: Final = {"early": "lie before 2001", "ahead": "lie more than a day ahead of Kafka's time"}
_FUTURE: Final = "their times are too far ahead of each other, as streamagg advise shows"

log = Log(__name__)


@dataclass(slots=True)
class Symptoms:
    """What blocks have reported about records that do not fit."""

    records: int = 0
    misfits: Counter[str] = field(default_factory=Counter)
    """By reason of rejection, ``early`` or ``ahead``."""
    samples: dict[str, Misfit] = field(default_factory=dict)

    def note(self, block: ColumnBlock) -> None:
        """Add those of a block."""
        self.records += block.consumed
        self.misfits.update(block.rejected)
        self.misfits.update(early=block.early, ahead=block.ahead)
        for misfit in block.misfits:
            self.samples.setdefault(misfit.why, misfit)

    def add(self, other: "Symptoms") -> None:
        """Add those of another session."""
        self.records += other.records
        self.misfits.update(other.misfits)
        self.samples = other.samples | self.samples


def together(parts: Iterable[Symptoms]) -> Symptoms:
    """The sum of several."""
    whole = Symptoms()
    for part in parts:
        whole.add(part)
    return whole


@dataclass(frozen=True, slots=True)
class Verdict:
    """That nearly all of some records do not fit."""

    records: int
    misfits: int
    fate: str
    """What has become of them."""
    sample: Misfit

    @property
    def rejected(self) -> bool:
        """They were rejected, rather than counted at unlikely times."""
        return self.sample.why not in _FATES

    @property
    def misread(self) -> bool:
        """They were counted, at times that would be likely in another unit."""
        return self.sample.mendable and not self.rejected


def judge(symptoms: Symptoms) -> Verdict | None:
    """None if enough of the records fit."""
    odd = {why: count for why, count in symptoms.misfits.items() if count}
    if sum(odd.values()) < max(1.0, NEARLY_ALL * symptoms.records):
        return None
    why = max(odd, key=lambda one: odd[one])
    rejected = {reason: count for reason, count in odd.items() if reason not in _FATES}
    count = odd[why] if why in _FATES else sum(rejected.values())
    fate = _FATES.get(why, f"are rejected{Reasons(rejected)}")
    sample = symptoms.samples.get(why, Misfit(why, "unknown", _FUTURE))
    return Verdict(symptoms.records, count, fate, sample)


class FitWatch:
    """Reports once in the life of a process that records do not fit."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """``clock`` returns seconds, and is never set."""
        self._clock = clock
        self._since_s: float | None = None
        self._judged = False
        self.verdict: Verdict | None = None

    def look(self, *parts: Symptoms) -> None:
        """Judge their sum, once enough has come to judge by."""
        records = sum(part.records for part in parts)
        if self._judged or not records:
            return
        now_s = self._clock()
        if self._since_s is None:
            self._since_s = now_s
        soon = now_s - self._since_s >= SOON_S and records >= FEW_RECORDS
        if soon or records >= FIRST_RECORDS:
            self._judged = True
            self._tell(judge(together(parts)))

    def end(self, symptoms: Symptoms, counted: int, rejected: Mapping[str, int]) -> str | None:
        """Judge everything: why this is not a success, or None if it is.

        ``rejected`` has what the clock has rejected, too.
        """
        whole = Symptoms(symptoms.records, symptoms.misfits | Counter(rejected), symptoms.samples)
        found = judge(whole)
        if self.verdict is None:
            self._tell(found)
        if found is None or not (found.misread or (found.rejected and not counted)):
            return None
        return f"{found.misfits:,} of {found.records:,} records {found.fate}: {found.sample.hint}."

    def _tell(self, found: Verdict | None) -> None:
        self.verdict = found
        if found is not None:
            log.warning(
                "records_misfit",
                "{misfits:,} of {records:,} records {fate}: {hint}. One of them has {shape}",
                misfits=found.misfits,
                records=found.records,
                fate=found.fate,
                hint=found.sample.hint,
                shape=found.sample.shape,
            )
