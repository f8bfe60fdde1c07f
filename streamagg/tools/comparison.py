"""Compares what was published with a recount: windows, periods, and groups of both."""

from dataclasses import dataclass
from typing import Any

from streamagg.model.settings import (
    NO_CEILING,
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    WindowSettings,
)
from streamagg.tools.periods import Periods
from streamagg.tools.published import Count, Difference, Kind, Place, Published, group_text
from streamagg.tools.recount import Group, Recount, Window, counted_users, window_of


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """What is compared, and how the run was set."""

    input: str
    output: str
    window: WindowSettings
    decode: DecodeSettings
    kafka: KafkaSettings
    allow_open: bool = False
    """Windows after the last published one are not missing but not published yet."""
    allow_repeats: bool = False
    """A window may be published again with the same value (at-least-once delivery)."""
    ceiling: CeilingSettings = NO_CEILING
    hold_timeout_ms: int | None = None
    """How long to wait for records that cannot be read yet; None: as long as a transaction may be open."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome, by windows and, where there are some, periods and groups of both."""

    recount: Recount
    windows: int
    """Recounted, as are the others: groups that are not published do not count."""
    matching: int
    open: int
    """Not published yet, and allowed to be."""
    partial: int
    """Published as partial: counted from the middle on, so that there is nothing to compare."""
    differences: tuple[Difference, ...]
    """In the order of windows, unreadable records last."""
    seconds: float


def compare(
    settings: VerifySettings, recount: Recount, outputs: list[Published | Difference], seconds: float
) -> Verification:
    """Compare every window, every period, and every group of them."""
    expected = _Expectation(settings).counts(recount)
    published = [output for output in outputs if isinstance(output, Published)]
    unordered = _unordered(settings, expected, published)
    found: dict[Place, list[Published]] = {}
    for output in published:
        found.setdefault(output.place, []).append(output)
    partial = {output.place.whole for output in published if output.partial}
    dropped = {output.place for output in published if output.value.groups_dropped}
    last_ms = max((place.window_ms for place in found if place.calendar is None), default=-1)
    matching = not_yet = in_part = 0
    differences = []
    for place in sorted(expected.keys() | found.keys(), key=_by_time):
        wanted, counts = expected.get(place), tuple(one.value for one in found.get(place, ()))
        if place.whole in partial:
            in_part += 1
        elif not counts and place.whole in dropped:
            continue
        elif not counts and settings.allow_open and _is_open(place, wanted, last_ms):
            not_yet += 1
        elif kind := _judge(wanted, counts, settings.allow_repeats) or unordered.get(place):
            differences.append(Difference(kind, place.window_ms, wanted, counts, "", *place[1:]))
        else:
            matching += 1
    differences += [output for output in outputs if isinstance(output, Difference)]
    return Verification(recount, len(expected), matching, not_yet, in_part, tuple(differences), seconds)


def _by_time(place: Place) -> tuple[Any, ...]:
    """Windows before the periods that begin with them, all before their groups; null is no text."""
    texts = [(text is not None, text or "") for text in place.group or ()]
    return place.window_ms, place.calendar or "", texts


def _is_open(place: Place, wanted: Count | None, last_ms: int) -> bool:
    """Whether it may not be closed yet, where the last window published begins at ``last_ms``."""
    end_ms = wanted.end_ms if wanted else None
    return last_ms < (place.window_ms if end_ms is None else end_ms)


def _judge(expected: Count | None, counts: tuple[Count, ...], allow_repeats: bool) -> Kind | None:
    if expected is None:
        return "unexpected"
    if not counts:
        return "missing"
    if set(counts) != {expected}:
        return "different"
    return "doubled" if len(counts) > 1 and not allow_repeats else None


def _unordered(
    settings: VerifySettings, expected: dict[Place, Count], published: list[Published]
) -> dict[Place, Kind]:
    """Those that stand, in their partition, before what belongs before them, or behind a period they are in.

    ``expected`` is in the order of publishing, as far as a window and its groups go.
    """
    rank = {place: number for number, place in enumerate(expected)}
    periods = Periods(settings.window)
    furthest: dict[tuple[int, Place], int] = {}
    seen: set[Place] = set()
    found: dict[Place, Kind] = {}
    for output in published:
        place = output.place
        if place not in rank or place in seen:
            continue
        seen.add(place)
        whole = output.partition, place.whole
        around = periods.of(place.window_ms) if place.calendar is None and output.value.records else ()
        over = any((output.partition, Place(one.start_ms, one.calendar)) in furthest for one in around)
        if over or rank[place] < furthest.get(whole, 0):
            found[place] = "unordered"
        furthest[whole] = max(rank[place], furthest.get(whole, 0))
    return found


class _Expectation:
    """What is to be published of a recount."""

    def __init__(self, settings: VerifySettings) -> None:
        self._window = settings.window
        self._decode = settings.decode
        self._ceiling = settings.ceiling

    def counts(self, recount: Recount) -> dict[Place, Count]:
        """All counts; those of a window or period one behind the other, in the order of publishing."""
        windows = dict(sorted(recount.windows.items()))
        if self._window.empty_windows and windows:
            for start_ms in range(min(windows), max(windows), self._window.granularity_ms):
                windows.setdefault(start_ms, window_of(self._decode.measures))
        expected: dict[Place, Count] = {}
        for start_ms, window in windows.items():
            expected |= self._of(Place(start_ms), window)
        for period, window in recount.periods.items():
            expected |= self._of(Place(period.start_ms, period.calendar), window, period.end_ms)
        return expected

    def _of(self, place: Place, window: Window, end_ms: int | None = None) -> dict[Place, Count]:
        """The counts of a window or period."""
        every = self._count(window, end_ms, self._ceiling)
        if not self._decode.group_by:
            return {place: every}
        if len(window.groups) > self._ceiling.max_groups and self._ceiling.above_groups == "totals":
            return {place: every._replace(groups_dropped=True)}
        groups = {group: self._count(own, end_ms, NO_CEILING) for group, own in window.groups.items()}
        ranked = sorted(groups.items(), key=_by_rank)[: self._ceiling.top]
        return {
            place: every._replace(groups=len(groups)),
            **{place._replace(group=group): count for group, count in ranked},
        }

    def _count(self, window: Window, end_ms: int | None, ceiling: CeilingSettings) -> Count:
        """Of a group users are always counted exactly."""
        unique, approximate = None, False
        if self._decode.user_field is not None:
            unique, approximate = counted_users(window.users, ceiling, self._decode.hash_seed)
        names = [measure.name for measure in self._decode.measures]
        values = [measured.result() for measured in window.measured]
        measures = tuple(sorted(zip(names, values, strict=True)))
        return Count(unique, window.records, approximate, measures, end_ms=end_ms)


def _by_rank(group: tuple[Group, Count]) -> tuple[Any, ...]:
    """Most users first, then most records, then by the bytes of the group's text."""
    return -(group[1].unique or 0), -group[1].records, group_text(group[0]).encode()
