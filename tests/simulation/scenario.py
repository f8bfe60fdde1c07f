"""What one seed decides beforehand: settings, records, how often what fails."""

import random
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from streamagg.core.checkpoint import fingerprint
from streamagg.engine.session.leases import LeaseSize
from streamagg.engine.session.plan import Plan
from streamagg.model.settings import WindowSettings
from tests.simulation.calendars import EPOCH_MS, Dates, dated
from tests.simulation.oracle import Rules, Told, judge
from tests.simulation.tables import Asked, Speech, asked

Kind = Literal["bounded", "keep-open", "endless"]
Delivery = Literal["exactly-once", "at-least-once"]


class Content(NamedTuple):
    """A record before it has an offset."""

    payload: bytes | None
    timestamp_ms: int
    """Of Kafka; -1 for none."""
    told: Told | None
    """None if it cannot be decoded."""


_LINE_BYTES: Final = 40
FILLER: Final = Content(None, -1, None)


@dataclass(frozen=True, slots=True)
class Odds:
    """Chances of one step."""

    fault: float
    """Something dies, is paused or deposed."""
    publish: float
    """A step of a publication goes wrong."""
    linger: float
    """A link or an answer takes longer."""
    sluggish: float
    """An aggregator has better things to do."""
    stall: float
    """The broker does not answer for a partition for a while."""
    write: float
    """A record is appended."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The settings of a run and the content of its log."""

    kind: Kind
    delivery: Delivery
    in_group: bool
    """Checkpoints are offsets of the group, which refuses who is of another generation; where the input is no
    topic, the epoch alone shuts out a leader before."""
    from_tree: bool
    """The input is a tree of files."""
    moves: bool
    """Files that are counted are moved away."""
    to_directory: bool
    """Results go to a directory instead of the broker."""
    to_database: bool
    """They go to a database."""
    window: WindowSettings
    asked: Asked
    plan: Plan
    lease_size: LeaseSize
    unmarshallers: int
    aggregators: int
    instances: int
    odds: Odds
    faults: int
    """At most so many."""
    full_link: int
    """Messages that fill the link to an aggregator."""
    phases: list[dict[int, list[Content]]]
    """Content by partition. No record of a later phase falls into a window of an earlier one."""
    begins: dict[int, int]
    """The first offset of each partition."""
    silent: list[set[int]]
    """Partitions that fall silent after each phase."""

    @property
    def rules(self) -> Rules:
        """For the oracle."""
        w = self.window
        return Rules(w.granularity_ms, w.offset_ms, w.max_lag_ms, w.max_jump_ms)

    @property
    def fingerprint(self) -> str:
        """Of the settings, as the checkpoint names it."""
        return fingerprint(self.window, self.asked.decode)


def scenario(
    chance: random.Random, beside: random.Random, apart: random.Random, places: random.Random
) -> Scenario:
    """Everything that is decided before the first step.

    ``beside`` decides what is counted beside users: all else of a seed is as it is without that.
    ``apart`` decides about calendars, ``places`` what the input is.
    """
    table = asked(beside)
    from_tree = places.random() < 0.2
    kind: Kind = chance.choices(("bounded", "keep-open", "endless"), (2, 2, 3))[0]
    dates = dated(_window(chance), apart)
    window = dates.window
    phases, begins, silent = _Contents(
        chance, dates, kind, Speech(table, beside), from_tree=from_tree
    ).phases()
    at_least_once = chance.random() < 0.15 and not from_tree
    delivery: Delivery = "at-least-once" if at_least_once else "exactly-once"
    in_group = at_least_once or (places.random() < 0.7 and not from_tree)
    moves = places.random() < 0.5
    to_directory = not in_group and places.random() < 0.5
    return Scenario(
        kind=kind,
        delivery=delivery,
        in_group=in_group,
        from_tree=from_tree,
        moves=moves,
        to_directory=to_directory,
        to_database=not in_group and not to_directory and places.random() < 0.5,
        window=window,
        asked=table,
        plan=Plan(
            window,
            chance.choice((window.fewest_slots, window.fewest_slots + 1, max(9, window.fewest_slots))),
            chance.choice((300, 1_000)),
            bounded=kind != "endless",
            ceiling=table.ceiling,
            decode=table.decode,
            # Few, so that a publication is waited for again and again.
            most_late=12,
            most_future=8,
            most_windows=3,
        ),
        lease_size=_lease_size(chance, from_tree=from_tree),
        unmarshallers=chance.choice((1, 2, 3)),
        aggregators=chance.choice((1, 2, 3)),
        instances=chance.choice((1, 1, 2)),
        odds=Odds(
            fault=chance.choice((0, 0.01, 0.03)),
            publish=chance.choice((0, 0.05, 0.2)),
            linger=chance.choice((0.1, 0.5, 0.8)),
            sluggish=chance.choice((0, 0.5, 0.95)),
            stall=chance.choice((0, 0.1, 0.5)),
            write=chance.choice((0.1, 0.3)),
        ),
        faults=chance.choice((0, 2, 6, 12)),
        full_link=chance.choice((2, 6, 1_000)),
        phases=phases,
        begins=begins,
        silent=silent,
    )


def _lease_size(chance: random.Random, *, from_tree: bool) -> LeaseSize:
    most, waiting = chance.choice((8, 30, 80)), chance.choice((10, 40, 1_000))
    if from_tree:
        return LeaseSize(most * _LINE_BYTES, 4 * _LINE_BYTES, waiting, ends_early=True)
    return LeaseSize(most, 4, waiting)


def _window(chance: random.Random) -> WindowSettings:
    granularity = chance.choice((1_000, 6_000))
    lag = chance.choice((0, granularity // 2, granularity // 2, 2 * granularity))
    jump = chance.choice(
        (max(lag, granularity // 10), lag or granularity, granularity + lag, 3 * (granularity + lag))
    )
    return WindowSettings(granularity, chance.choice((0, 0, 700)), lag, jump, chance.random() < 0.15)


class _Contents:
    """Makes records: disorder, honest gaps, flipped bits, and some that cannot be decoded."""

    def __init__(
        self, chance: random.Random, dates: Dates, kind: Kind, speech: Speech, *, from_tree: bool
    ) -> None:
        """``from_tree``: lines have no timestamps, and logs begin at their beginning."""
        self._from_tree = from_tree
        window = dates.window
        self._chance = chance
        self._speech = speech
        self._window = window
        self._begin_ms = dates.begin_ms
        self._kind = kind
        self._grown = kind != "bounded" and chance.random() < 0.5
        self._rules = Rules(window.granularity_ms, window.offset_ms, window.max_lag_ms, window.max_jump_ms)
        self._stamped = chance.choice((0.0, 0.0, 0.4, 1.0))
        self._flips = chance.choice((0.0, 0.01, 0.04))
        self._jumps = chance.choice((0.0, 0.01, 0.03))
        self._slow = chance.choice((0.3, 0.3, 0.6))
        self._fast = chance.choice((0.0, 0.0, 0.1, 0.3))
        """The share of clocks that are a little fast."""
        dense = chance.random() < 0.25
        self._step = window.granularity_ms // (100 if dense else chance.choice((2, 6, 12)))
        self._most = chance.choice(((0, 4, 40, 100), (0, 400)) if dense else ((0, 4, 40, 100),))
        self._partitions = chance.choice((1, 2, 3))
        self._before: dict[int, list[Told]] = {}

    def phases(self) -> tuple[list[dict[int, list[Content]]], dict[int, int], list[set[int]]]:
        chance = self._chance
        phases: list[dict[int, list[Content]]] = []
        begins: dict[int, int] = {}
        base = self._begin_ms
        for number in range(chance.choice((1, 2, 3)) if self._grown else 1):
            if number and chance.random() < 0.5:
                self._partitions += 1
            phase: dict[int, list[Content]] = {}
            for partition in range(self._partitions):
                phase[partition] = self._phase(partition, base, number)
                # An empty partition that begins inside the log would change its mind about what is partial.
                inside = number == 0 and bool(self._before[partition]) and chance.random() < 0.2
                begins.setdefault(partition, 7_000_000_000 if inside and not self._from_tree else 0)
            phases.append(phase)
            base = self._behind(base)
        silent = [{p for p in phase if chance.random() < 0.4} for phase in phases]
        return phases, begins, silent

    def _phase(self, partition: int, base: int, number: int) -> list[Content]:
        chance = self._chance
        earlier = self._before.setdefault(partition, [])
        phase = self._records(base, chance.choice(self._most), earlier)
        if self._kind != "endless":
            return phase
        # Silence decides about what is set aside: let nothing be, so that it has nothing to decide.
        while "waiting" in (judged := judge(earlier, self._rules, ended=False)).verdicts:
            phase += [self._append(earlier, max(base, judged.clock_ms or 0)) for _ in range(4)]
        return phase

    def _behind(self, base: int) -> int:
        """The end of the last window that any record so far is in."""
        clocks = [judge(log, self._rules, ended=False).clock_ms for log in self._before.values()]
        last = max((self._rules.window(clock) for clock in clocks if clock is not None), default=None)
        return base if last is None else self._rules.end_ms(last)

    def _records(self, base: int, most: int, into: list[Told]) -> list[Content]:
        chance, g = self._chance, self._window.granularity_ms
        time = base + chance.randrange(1 + chance.choice((0, 1, 6)) * g)
        made = []
        for _ in range(chance.randrange(most + 1)):
            time += int(chance.random() * 2 * self._step)
            if chance.random() < self._jumps:
                time += chance.randrange(3, 30) * g
            told = time
            luck = chance.random()
            if luck < self._flips:
                told += (1 << chance.randrange(8)) * g
            elif luck < 0.03 + self._flips:
                made.append(self._unfit(chance.choice((FILLER, Content(b"{", time, None)))))
                continue
            elif luck > 1 - self._slow:
                told -= int(chance.random() * chance.choice((1, 4)) * (self._window.max_lag_ms + g))
            elif luck > 1 - self._slow - self._fast:
                told += int(chance.random() * 4 * self._window.max_jump_ms)
            made.append(self._append(into, max(base, told), time))
        return made

    def _append(self, into: list[Told], told: int, time: int | None = None) -> Content:
        chance = self._chance
        stamp = -1 if time is None or chance.random() >= self._stamped or self._from_tree else time
        user = f"u{chance.randrange(12)}"
        text, fields = self._speech.fields()
        into.append(Told(told, user, stamp >= 0 and abs(stamp - told) <= self._window.max_jump_ms, fields))
        return Content(b'{"ts":%d,"uid":"%s"%s}' % (told, user.encode(), text), stamp, into[-1])

    def _unfit(self, content: Content) -> Content:
        """Where there are groups, in their place sometimes a record without a proper one."""
        misfit = self._speech.misfit()
        if misfit is None:
            return content
        return Content(b'{"ts":%d,"uid":"u"%s}' % (EPOCH_MS, misfit), content.timestamp_ms, None)
