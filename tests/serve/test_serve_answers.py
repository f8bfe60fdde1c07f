"""Answers against plain lists: any range, any group, any points, however the store has come to be."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.serve.questions.asked import Span, Unanswerable
from streamagg.serve.questions.series import SeriesQuestion, series
from streamagg.serve.questions.windows import WindowsQuestion, windows
from streamagg.serve.store import store as storing
from streamagg.serve.store.store import Store
from tests.support.asked_store import asking, fill
from tests.support.examples import examples
from tests.support.published_history import COUNTRIES, EPOCH_S, Visits, values

VISITS = Visits.made(seed=5, windows=150)
RECORDS = list(VISITS.published())
LAST_S = EPOCH_S + 150 * 60
minutes = st.integers(-10, 150 + 10).map(lambda number: EPOCH_S + 60 * number)
seconds = st.one_of(minutes, st.integers(EPOCH_S - 600, LAST_S + 600))
spans = st.tuples(seconds, seconds).filter(lambda pair: pair[0] != pair[1]).map(sorted)


@contextmanager
def made(batches: list[int], sort_rows: int) -> Iterator[Store]:
    """A store that got the records in so many at once, and sorts a tail of so many."""
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(storing, "SORTED_ROWS", sort_rows)
        patch.setattr(storing, "MERGED_ROWS", 3 * sort_rows)
        store = Store(Path(directory) / "store")
        given_values = values(iter(RECORDS))
        at = 0
        for size in [*batches, len(given_values)]:
            fill(store, given_values[at : at + size])
            while store.sort():
                pass
            at += size
        try:
            yield store
        finally:
            store.close()


@pytest.fixture(scope="module", params=[(10**9,), (7, 100, 31), (400,)], ids=["whole", "pieces", "halves"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """The same records, stored in different ways."""
    with made(list(request.param), sort_rows=90) as found:
        yield found


def expected(begin: int, end: int, calendar: str, country: Any) -> list[dict[str, Any]]:
    """Of all users for ``...``, of each group for ``None`` in a list, or of one country."""
    return [
        record
        for record in RECORDS
        if begin <= record["ts"] < end
        and record.get("calendar", "window") == calendar
        and (("group" not in record) if country is ... else record.get("group") == {"country": country})
    ]


@given(spans, st.sampled_from(["window", "hour"]), st.sampled_from([..., *COUNTRIES]), st.data())
@settings(max_examples=examples(25))
def test_windows_are_what_was_published(
    store: Store, span: list[int], calendar: str, country: Any, data: st.DataObject
) -> None:
    """Page by page, in both orders."""
    order = data.draw(st.sampled_from(["asc", "desc"]))
    limit = data.draw(st.integers(1, 40))
    group = {} if country is ... else {"country": country}
    found, after = [], None
    with asking(store) as reading:
        while True:
            asked = WindowsQuestion(
                Span(span[0] * 1_000, span[1] * 1_000), calendar, group, order=order, limit=limit, after=after
            )
            page = windows(reading, asked)
            assert len(page.records) <= limit
            found += page.records
            after = page.last
            if after is None:
                break
    wanted = expected(*span, calendar, country)
    assert found == (wanted if order == "asc" else wanted[::-1])


@given(spans)
@settings(max_examples=examples(8))
def test_records_of_every_group(store: Store, span: list[int]) -> None:
    with asking(store) as reading:
        asked = WindowsQuestion(Span(span[0] * 1_000, span[1] * 1_000), every_group=True, limit=10_000)
        found = windows(reading, asked).records
    groups = [record for record in RECORDS if "group" in record and "calendar" not in record]
    wanted = [record for record in groups if span[0] <= record["ts"] < span[1]]
    key = lambda record: (record["ts"], str(record["group"]))  # noqa: E731
    assert sorted(found, key=key) == sorted(wanted, key=key)
    assert [record["ts"] for record in found] == sorted(record["ts"] for record in wanted)


def sample(records: list[dict[str, Any]], begin: float, end: float, name: str, how: str) -> float | None:
    """Of the windows that begin in a period; else the one before, if it lasts to its end."""
    inside = [record for record in records if begin <= record["ts"] < end]
    if not inside:
        before = [record for record in records if record["ts"] < begin]
        inside = [before[-1]] if before and before[-1]["ts"] + length_s(before[-1]) >= end else []
    numbers = [record[name] for record in inside if record[name] is not None]
    if not numbers:
        return None
    functions = {"last": lambda found: found[-1], "mean": fmean, "min": min, "max": max}
    return functions[how](numbers)


def length_s(record: dict[str, Any]) -> int:
    found: int = record["end"] - record["ts"] if "end" in record else record["granularity"]
    return found


@given(
    spans,
    st.integers(1, 400),
    st.sampled_from(["window", "hour"]),
    st.sampled_from([..., *COUNTRIES]),
    st.sampled_from(["last", "mean", "min", "max"]),
)
@settings(max_examples=examples(40))
def test_series_has_as_many_samples_as_were_asked_for(
    store: Store, span: list[int], points: int, calendar: str, country: Any, how: Any
) -> None:
    group = {} if country is ... else {"country": country}
    asked = SeriesQuestion(Span(span[0] * 1_000, span[1] * 1_000), points, calendar, group, how=how)
    with asking(store) as reading:
        found = series(reading, asked)
    records = expected(EPOCH_S - 10_000, LAST_S + 10_000, calendar, country)
    length = (span[1] - span[0]) * 1_000
    edges = [span[0] * 1_000 + -(-number * length // points) for number in range(points + 1)]
    for name in ("cnt", "records", "price"):
        assert found.times_ms[name] == edges[1:]
        wanted = [sample(records, begin / 1_000, end / 1_000, name, how) for begin, end in pairwise(edges)]
        assert found.values[name] == pytest.approx(wanted)


@given(spans, st.integers(1, 200))
@settings(max_examples=examples(12))
def test_triangles_keep_both_ends_and_invent_nothing(store: Store, span: list[int], points: int) -> None:
    asked = SeriesQuestion(Span(span[0] * 1_000, span[1] * 1_000), points, measures=("price",), how="lttb")
    with asking(store) as reading:
        found = series(reading, asked)
    there = [(record["ts"] * 1_000, record["price"]) for record in expected(*span, "window", ...)]
    there = [pair for pair in there if pair[1] is not None]
    chosen = list(zip(found.times_ms["price"], found.values["price"], strict=True))
    assert len(chosen) == min(points, len(there))
    assert chosen == sorted(set(chosen) & set(there))
    if len(chosen) > 1:
        assert (chosen[0], chosen[-1]) == (there[0], there[-1])


def test_questions_without_an_answer_say_why(store: Store) -> None:
    span = Span(EPOCH_S * 1_000, LAST_S * 1_000)
    for asked, reason in (
        (SeriesQuestion(span, calendar="day"), "There is no calendar day here; there are: hour, window."),
        (SeriesQuestion(span, measures=("size",)), "There is no measure size in window; there are: cnt, rec"),
        (SeriesQuestion(span, group={"page": "x"}), "Groups have no field page; there are: country."),
    ):
        with asking(store) as reading, pytest.raises(Unanswerable, match=reason):
            series(reading, asked)


def test_only_what_a_question_touches_is_read(store: Store) -> None:
    """Segments: of a range before and behind all of them none, of all of it all."""
    with asking(store) as reading:
        segments = reading.layout.calendars["window"].segments
    for begin, end, read in ((0, 1_000, 0), (EPOCH_S, LAST_S, len(segments)), (LAST_S, LAST_S + 60, 0)):
        with asking(store) as reading:
            windows(reading, WindowsQuestion(Span(begin * 1_000, end * 1_000)))
            assert reading.segments_read == read
    if segments:
        with asking(store) as reading:
            windows(reading, WindowsQuestion(Span(segments[0].least_ms, segments[0].least_ms + 1)))
            assert reading.segments_read == 1
