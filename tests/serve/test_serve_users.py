"""Users of any range, set operations, retention and the largest groups, against plain sets."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import inf, sqrt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.core.measures.theta import compact_theta
from streamagg.serve.questions.asked import Span, Unanswerable
from streamagg.serve.questions.retention import RetentionQuestion, periods_of, retention
from streamagg.serve.questions.top import TopQuestion, top
from streamagg.serve.questions.users import Crowd, UsersQuestion, users
from streamagg.serve.store.layout import UNION_LENGTHS_MS
from streamagg.serve.store.store import SketchRow, Store
from streamagg.serve.store.unions import unite
from streamagg.serve.theta import CONFIDENCE
from tests.support.asked_store import asking, fill
from tests.support.examples import examples
from tests.support.published_history import COUNTRIES, EPOCH_S, Visits, scattered, sketches, values

VISITS = Visits.made(seed=4, windows=26 * 60, users=300)
FIRST_S, END_S = VISITS.starts[0], VISITS.starts[-1] + 60
minutes = st.integers(-10, 26 * 60 + 10).map(lambda number: EPOCH_S + 60 * number)
seconds = st.one_of(minutes, st.integers(EPOCH_S - 600, END_S + 600))
spans = st.tuples(seconds, seconds).filter(lambda pair: pair[0] != pair[1]).map(sorted)
crowds = st.tuples(spans, st.sampled_from([..., *COUNTRIES]))


@pytest.fixture(scope="module", params=["published hours", "unions"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """More than a day of minutes."""
    hours = request.param == "published hours"
    made = Store(tmp_path_factory.mktemp("users") / "store")
    fill(made, values(VISITS.published(hours)), sketches(VISITS, hours))
    if not hours:
        while unite(made):
            pass
    yield made
    made.close()


@pytest.fixture(scope="module")
def counts_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Without sketches."""
    made = Store(tmp_path_factory.mktemp("counts") / "store")
    fill(made, values(VISITS.published()))
    yield made
    made.close()


@pytest.fixture(scope="module")
def windows_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Without hours: these have prices that are made up."""
    made = Store(tmp_path_factory.mktemp("windows") / "store")
    fill(made, values(VISITS.published(hours=False)))
    yield made
    made.close()


def crowd_of(pair: tuple[list[int], Any]) -> Crowd:
    (begin, end), country = pair
    return Crowd(Span(begin * 1_000, end * 1_000), {} if country is ... else {"country": country})


def truth(pair: tuple[list[int], Any]) -> set[int]:
    return VISITS.between(*pair[0], pair[1])


@given(crowds, st.lists(crowds, max_size=2), st.lists(crowds, max_size=2))
@settings(max_examples=examples(30))
def test_users_of_ranges_and_of_what_they_share(
    store: Store, crowd: Any, also: list[Any], without: list[Any]
) -> None:
    wanted = truth(crowd)
    for other in also:
        wanted &= truth(other)
    for other in without:
        wanted -= truth(other)
    asked = UsersQuestion(crowd_of(crowd), list(map(crowd_of, also)), list(map(crowd_of, without)))
    with asking(store) as reading:
        found = users(reading, asked)
    assert found.exact
    assert found.users == found.low == found.high == len(wanted)
    ends = [end for (_, end), _ in (crowd, *also, *without)]
    begins = [begin for (begin, _), _ in (crowd, *also, *without)]
    assert found.complete == (max(ends) <= END_S and min(begins) >= FIRST_S)


TRIALS = examples(40)


def test_estimates_are_within_their_bounds_as_often_as_is_promised(tmp_path: Path) -> None:
    """Thousands of users in a window: each trial has a day and hashes of its own (four deviations)."""
    random = np.random.default_rng(17)
    made = Store(tmp_path / "store")
    held = dict.fromkeys(("union", "and", "not"), 0)
    for trial in range(TRIALS):
        first = EPOCH_S // 86_400 * 86_400 + trial * 86_400
        present = big_windows(random)
        fill_big(made, first, present, random)
        begin, middle, end = sorted(random.choice(len(present) + 1, 3, replace=False).tolist())
        left, right = ([first + 60 * begin, first + 60 * middle], [first + 60 * middle, first + 60 * end])
        one, other = (set().union(*present[begin:middle]), set().union(*present[middle:end]))
        crowd, beside = crowd_of((left, ...)), crowd_of((right, ...))
        for name, asked, wanted in (
            ("union", UsersQuestion(crowd_of(([left[0], right[1]], ...))), one | other),
            ("and", UsersQuestion(crowd, [beside]), one & other),
            ("not", UsersQuestion(crowd, [], [beside]), one - other),
        ):
            with asking(made) as reading:
                found = users(reading, asked)
            assert not found.exact or found.users == len(wanted)
            held[name] += found.low <= len(wanted) <= found.high
    made.close()
    least = CONFIDENCE - 4 * sqrt(CONFIDENCE * (1 - CONFIDENCE) / TRIALS)
    assert {name: count / TRIALS >= least for name, count in held.items()} == dict.fromkeys(held, True), held


def big_windows(random: np.random.Generator) -> list[set[int]]:
    """Users of six windows, of whom many come again."""
    return [set(random.integers(0, 20_000, random.integers(500, 9_000)).tolist()) for _ in range(6)]


def fill_big(store: Store, first: int, present: list[set[int]], random: np.random.Generator) -> None:
    salt = np.uint64(random.integers(1, 2**63))
    records, rows = [], []
    for number, there in enumerate(present):
        start = first + 60 * number
        hashes = np.unique(scattered(np.array(sorted(there), np.uint64) ^ salt))
        records.append(
            {"ts": start, "cnt": len(there), "granularity": 60, "records": 1, "partial": False, "v": 1}
        )
        rows.append(SketchRow("window", start * 1_000, None, compact_theta(hashes)))
    fill(store, values(iter(records)), rows)


@given(crowds)
@settings(max_examples=examples(20))
def test_without_sketches_there_are_bounds(counts_only: Store, crowd: Any) -> None:
    with asking(counts_only) as reading:
        found = users(reading, UsersQuestion(crowd_of(crowd)))
    assert found.low <= len(truth(crowd)) <= found.high
    assert not found.exact or found.users == len(truth(crowd))


def test_a_range_that_one_record_tells_is_exact_without_sketches(counts_only: Store) -> None:
    hour = EPOCH_S + 3 * 3_600
    for begin, end in ((FIRST_S, FIRST_S + 60), (hour, hour + 3_600)):
        with asking(counts_only) as reading:
            found = users(reading, UsersQuestion(crowd_of(([begin, end], ...))))
        assert (found.users, found.exact, found.tiles) == (len(VISITS.between(begin, end)), True, 1)


def test_set_operations_need_sketches(counts_only: Store) -> None:
    crowd = crowd_of(([FIRST_S, END_S], ...))
    with asking(counts_only) as reading, pytest.raises(Unanswerable, match="run with --sketches"):
        users(reading, UsersQuestion(crowd, [crowd]))
    with asking(counts_only) as reading, pytest.raises(Unanswerable, match="needs sketches"):
        retention(reading, RetentionQuestion(crowd.span))


def test_few_sketches_make_up_a_long_range(store: Store) -> None:
    """Unions of minutes, hours and days of which there are."""
    with asking(store) as reading:
        found = users(reading, UsersQuestion(crowd_of(([FIRST_S, END_S], ...))))
    assert found.tiles < 150


@given(spans, st.sampled_from(["users", "records"]), st.integers(1, 6))
@settings(max_examples=examples(15))
def test_the_largest_groups(store: Store, span: list[int], order: Any, n: int) -> None:
    with asking(store) as reading:
        found = top(reading, TopQuestion(Span(span[0] * 1_000, span[1] * 1_000), "country", n=n, order=order))
    counted = {}
    for country in COUNTRIES:
        inside = [
            crowd
            for (start, where), crowd in VISITS.users.items()
            if where == country and span[0] <= start < span[1]
        ]
        if inside:
            counted[country] = (len(set().union(*inside)), 3 * sum(map(len, inside)))
    place = ("users", "records").index(order)
    wanted = sorted(counted, key=lambda country: (-counted[country][place], str(country)))[:n]
    assert [entry.value for entry in found.entries] == wanted
    assert [(entry.users.users, entry.records) for entry in found.entries] == [counted[one] for one in wanted]
    assert (found.values, found.left_out) == (len(counted), False)


@given(spans, st.sampled_from(["sum", "mean", "min", "max"]), st.integers(1, 6))
@settings(max_examples=examples(15))
def test_the_groups_with_the_most_of_a_measure(
    windows_only: Store, span: list[int], how: Any, n: int
) -> None:
    """A group in which there is none comes last."""
    asked = TopQuestion(Span(span[0] * 1_000, span[1] * 1_000), "country", n=n, order="price", how=how)
    with asking(windows_only) as reading:
        found = top(reading, asked)
    prices: dict[Any, list[tuple[float, int]]] = {}
    for record in VISITS.published(hours=False):
        if "group" in record and span[0] <= record["ts"] < span[1]:
            here = prices.setdefault(record["group"]["country"], [])
            if record["price"] is not None:
                here.append((record["price"], record["records"]))
    come_to = {
        "sum": lambda rows: sum(price for price, _ in rows),
        "mean": lambda rows: sum(price * records for price, records in rows) / sum(r for _, r in rows),
        "min": lambda rows: min(rows)[0],
        "max": lambda rows: max(rows)[0],
    }[how]
    wanted = {country: come_to(rows) if rows else None for country, rows in prices.items()}
    numbers = sorted((-inf if number is None else number for number in wanted.values()), reverse=True)[:n]
    assert [-inf if one.number is None else one.number for one in found.entries] == pytest.approx(numbers)
    assert all(wanted[one.value] == pytest.approx(one.number) for one in found.entries)


def test_a_value_is_found_by_a_part_of_it(store: Store) -> None:
    with asking(store) as reading:
        found = top(reading, TopQuestion(Span(FIRST_S * 1_000, END_S * 1_000), "country", find="u"))
        assert (found.values, [entry.value for entry in found.entries]) == (1, ["US"])
        with pytest.raises(Unanswerable, match="no measure colour"):
            top(reading, TopQuestion(Span(FIRST_S * 1_000, END_S * 1_000), "country", order="colour"))


def test_groups_that_were_not_published_are_told(store: Store, tmp_path: Path) -> None:
    made = Store(tmp_path / "store")
    records = [record for record in VISITS.published() if record.get("group") != {"country": "DE"}]
    fill(made, values(iter(records)))
    with asking(made) as reading:
        assert top(reading, TopQuestion(Span(FIRST_S * 1_000, END_S * 1_000), "country")).left_out
    made.close()


def first_day(time_s: int, cohort: str, zone: ZoneInfo) -> date:
    """Of the period that holds a time."""
    day = datetime.fromtimestamp(time_s, zone).date()
    return {"day": day, "week": day - timedelta(day.weekday()), "month": day.replace(day=1)}[cohort]


def first_day_behind(first: date, cohort: str) -> date:
    """Of the period behind the one that begins with this day."""
    days = {"day": 1, "week": 7, "month": 31}[cohort]
    found = first + timedelta(days)
    return found.replace(day=1) if cohort == "month" else found


class TestRetention:
    ZONE = ZoneInfo("Europe/Berlin")

    def test_of_days(self, store: Store) -> None:
        """By the clock of a zone, so that the first day is short."""
        span = Span(FIRST_S * 1_000, END_S * 1_000)
        with asking(store) as reading:
            rows = retention(reading, RetentionQuestion(span, "day", periods=3, zone=self.ZONE))
        days = [int(datetime(2016, 7, day, tzinfo=self.ZONE).timestamp()) for day in (11, 12, 13, 14)]
        there = [VISITS.between(begin, end) for begin, end in pairwise(days)]
        assert [row.span.from_ms // 1_000 for row in rows] == days[: len(rows)]
        before: set[int] = set()
        for number, row in enumerate(rows):
            new = there[number] - before
            assert [one.users for one in row.retained] == [
                len(new & later) for later in there[number : len(rows)]
            ]
            before |= there[number]

    @given(
        spans,
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu"]),
        st.sampled_from([..., *COUNTRIES]),
    )
    @settings(max_examples=examples(8))
    def test_of_any_range_group_and_zone(
        self, store: Store, span: list[int], cohort: Any, name: str, country: Any
    ) -> None:
        """Windows put into days by the clock of the zone, one by one."""
        zone = ZoneInfo(name)
        group = {} if country is ... else {"country": country}
        asked = RetentionQuestion(Span(span[0] * 1_000, span[1] * 1_000), cohort, 4, group, zone)
        with asking(store) as reading:
            rows = retention(reading, asked)
        there: dict[date, set[int]] = {}
        for start in VISITS.starts:
            crowd = VISITS.between(start, start + 1, country)
            there.setdefault(first_day(start, cohort, zone), set()).update(crowd)
        at, before = first_day(span[0], cohort, zone), set[int]()
        for row in rows:
            assert first_day(row.span.from_ms // 1_000, cohort, zone) == at
            new, later = there.get(at, set()) - before, at
            for one in row.retained:
                assert one.users == len(new & there.get(later, set()))
                later = first_day_behind(later, cohort)
            before |= there.get(at, set())
            at = first_day_behind(at, cohort)
        assert rows or span[0] >= END_S

    @pytest.mark.parametrize(
        ("cohort", "begin", "hours"),
        [
            ("day", datetime(2026, 3, 29, 12, tzinfo=ZONE), [23]),
            ("day", datetime(2026, 10, 25, 12, tzinfo=ZONE), [25]),
            ("week", datetime(2026, 3, 28, tzinfo=ZONE), [167]),
            ("month", datetime(2026, 2, 5, tzinfo=UTC), [28 * 24]),
            ("day", datetime(2011, 12, 29, 12, tzinfo=ZoneInfo("Pacific/Apia")), [24, 24]),
        ],
    )
    def test_periods_go_by_the_clock(self, cohort: Any, begin: datetime, hours: list[int]) -> None:
        from_ms = int(begin.timestamp() * 1_000)
        span = Span(from_ms, from_ms + 3_600_000 * (24 * (len(hours) - 1) + 1))
        found = list(periods_of(span, cohort, begin.tzinfo or UTC))
        assert [one.length_ms / 3_600_000 for one in found] == hours
        assert found[0].from_ms <= from_ms < found[0].to_ms


class TestUnions:
    def kept(self, store: Store, calendar: int) -> list[int]:
        rows = store.connection.execute(
            "SELECT ts FROM sketches WHERE calendar = ? AND grp = 0 ORDER BY ts", [calendar]
        ).fetchall()
        return [ts for (ts,) in rows]

    def test_whatever_comes_late_is_in_them(self, tmp_path: Path) -> None:
        """The union of an hour is made again, and that of its day."""
        visits = Visits.made(seed=8, windows=26 * 60, users=50)
        late = visits.starts[70:90]
        records = list(visits.published(hours=False))
        rows = sketches(visits, hours=False)
        made = Store(tmp_path / "store")
        fill(
            made,
            values(record for record in records if record["ts"] not in late),
            [row for row in rows if row.ts_ms // 1_000 not in late],
        )
        while unite(made):
            pass
        fill(made, values(record for record in records if record["ts"] in late))
        fill(made, [], [row for row in rows if row.ts_ms // 1_000 in late])
        before = self.kept(made, -2)
        while unite(made):
            pass
        assert len(self.kept(made, -2)) > len(before)
        span = Span(visits.starts[0] * 1_000, (visits.starts[-1] + 60) * 1_000)
        with asking(made) as reading:
            found = users(reading, UsersQuestion(Crowd(span)))
        assert found.users == len(visits.between(0, 2**40))
        made.close()

    def test_none_is_made_where_a_sketch_is_missing(self, tmp_path: Path) -> None:
        visits = Visits.made(seed=8, windows=130, users=50)
        missing = visits.starts[10]
        made = Store(tmp_path / "store")
        rows = [row for row in sketches(visits, hours=False) if row.ts_ms // 1_000 != missing]
        fill(made, values(visits.published(hours=False)), rows)
        while unite(made):
            pass
        hour_ms = UNION_LENGTHS_MS[-2]
        assert missing * 1_000 // hour_ms * hour_ms not in self.kept(made, -2)
        with asking(made) as reading:
            found = users(reading, UsersQuestion(Crowd(Span(EPOCH_S * 1_000, EPOCH_S * 1_000 + hour_ms))))
        assert not found.complete
        made.close()


def test_many_users_are_estimated_within_their_bounds(tmp_path: Path) -> None:
    """Of 50,000 in each of 30 windows: as often as is promised, at least."""
    rng = np.random.default_rng(1)
    visits = Visits()
    for number in range(30):
        visits.users[EPOCH_S + 60 * number, "DE"] = set(rng.integers(0, 200_000, 50_000).tolist())
    made = Store(tmp_path / "store")
    fill(made, values(visits.published(hours=False)), sketches(visits, hours=False))
    held = 0
    for begin in range(29):
        pair = ([EPOCH_S + 60 * begin, EPOCH_S + 60 * (begin + 2)], ...)
        with asking(made) as reading:
            found = users(reading, UsersQuestion(crowd_of(pair)))
        wanted = len(visits.between(*pair[0]))
        assert not found.exact
        assert found.users == pytest.approx(wanted, rel=0.08)
        held += found.low <= wanted <= found.high
    assert held >= 24
    made.close()
