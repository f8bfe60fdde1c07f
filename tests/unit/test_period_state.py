"""What the state topic holds of open periods, and what of it is believed at a start.

::

    minutes    0         60        120       180
    hours      |    0    |    1    |    2    |
    4h         |    0                              …
    state      0: + +    head                        what hour 0 holds goes when it is out
"""

import json
from collections.abc import Iterable, Mapping

import pytest

from streamagg.core.calendars import Calendars, Period
from streamagg.core.period_state import PeriodState, Record, restored
from streamagg.errors import CheckpointError
from streamagg.model.periods import Gained
from streamagg.model.settings import CalendarSettings, WindowSettings
from tests.support.periods import ended

HOUR_MS = 3_600_000
WINDOW = WindowSettings(calendars=(CalendarSettings("hour", HOUR_MS), CalendarSettings("4h", 4 * HOUR_MS)))
HOUR, FOUR = 0, 1


def calendars() -> Calendars:
    return Calendars(WINDOW)


def gained(calendar: int, start: int, *values: bytes, users: int = 1) -> Gained:
    """By the hour at which the period begins."""
    return Gained(calendar, start * HOUR_MS, list(values), users)


def begun() -> tuple[PeriodState, dict[bytes, bytes]]:
    """A first publication, and the topic after it."""
    state = PeriodState(calendars(), "s1")
    state.take([gained(HOUR, 0, b"a", b"b"), gained(FOUR, 0, b"c", users=5)])
    return state, kept({}, state.records([], HOUR_MS // 2))


def kept(topic: Mapping[bytes, bytes], records: Iterable[Record]) -> dict[bytes, bytes]:
    """A topic after further records."""
    found: dict[bytes, bytes | None] = {**topic, **dict(records)}
    return {key: value for key, value in found.items() if value is not None}


def resumed(
    topic: Mapping[bytes, bytes], until_ms: int | None = HOUR_MS // 2, *, exactly_once: bool = True
) -> tuple[PeriodState, list[Gained]]:
    return restored(topic.items(), calendars(), "s2", until_ms, exactly_once=exactly_once)


def refused(topic: Mapping[bytes, bytes], until_ms: int = HOUR_MS // 2, *, exactly_once: bool = True) -> str:
    with pytest.raises(CheckpointError) as caught:
        resumed(topic, until_ms, exactly_once=exactly_once)
    return str(caught.value)


def test_values_come_before_the_head_and_the_head_before_what_is_removed() -> None:
    state, _ = begun()
    state.take([gained(HOUR, 0, b"d"), gained(HOUR, 1, b"e")])
    records = state.records(ended(state, calendars(), HOUR_MS), HOUR_MS)
    assert [key for key, value in records if value is not None] == [
        b"hour 0 s1 2",
        b"hour 3600000 s1 0",
        b"head",
    ]
    assert [key for key, value in records[3:]] == [b"hour 0 s1 0", b"hour 0 s1 1", b"hour 0 s1 2"]
    assert all(value is None for _, value in records[3:])


def test_a_head_says_what_there_is() -> None:
    _, topic = begun()
    assert json.loads(topic[b"head"]) == {
        "version": 1,
        "through_ms": HOUR_MS // 2,
        "periods": {"hour 0": {"users": 1, "values": {"s1": 2}}, "4h 0": {"users": 5, "values": {"s1": 1}}},
    }


def test_what_was_written_is_read_back_whoever_wrote_it() -> None:
    _, topic = begun()
    second, found = resumed(topic)
    assert found == [Gained(HOUR, 0, [b"a", b"b"]), Gained(FOUR, 0, [b"c"])]
    assert second.through_ms == HOUR_MS // 2
    second.take([gained(HOUR, 0, b"d")])
    topic = kept(topic, second.records([], HOUR_MS))
    third, found = restored(topic.items(), calendars(), "s3", HOUR_MS, exactly_once=True)
    assert found[0] == Gained(HOUR, 0, [b"a", b"b", b"d"])
    assert set(kept(topic, third.records(ended(third, calendars(), 4 * HOUR_MS), 4 * HOUR_MS))) == {b"head"}


def test_periods_end_in_order_and_only_when_all_their_windows_are_out() -> None:
    state, _ = begun()
    state.take([gained(HOUR, 3, b"d")])
    hours = [(HOUR, Period(start * HOUR_MS, (start + 1) * HOUR_MS)) for start in (0, 3)]
    assert ended(state, calendars(), HOUR_MS - 1) == []
    assert ended(state, calendars(), HOUR_MS) == hours[:1]
    assert ended(state, calendars(), 4 * HOUR_MS) == [*hours, (FOUR, Period(0, 4 * HOUR_MS))]


def test_how_many_users_a_period_has_is_known_also_after_a_start() -> None:
    state, topic = begun()
    before = dict(state.users)
    for one in (state, resumed(topic)[0]):
        assert one.users == before
        one.take([gained(FOUR, 0, b"d")])
        assert one.users[FOUR, 0] > before[FOUR, 0]


def test_without_a_checkpoint_all_is_removed() -> None:
    """The count begins, with --from earliest or because nothing was ever committed."""
    _, topic = begun()
    state, found = resumed(topic, None)
    assert not found
    assert state.through_ms is None
    state.take([gained(HOUR, 0, b"d")])
    records = state.records([], HOUR_MS)
    assert set(kept(topic, records)) == {b"head", b"hour 0 s2 0"}
    assert [key for key, value in records if value is not None][-1] == b"head"


def test_at_least_once_the_state_may_be_ahead_and_what_the_head_does_not_know_is_removed() -> None:
    state, topic = begun()
    state.take([gained(HOUR, 0, b"d"), gained(HOUR, 1, b"e")])
    later = state.records(ended(state, calendars(), HOUR_MS), HOUR_MS)
    for out in range(2):  # The head is not among them.
        second, found = resumed(kept(topic, later[:out]), exactly_once=False)
        assert found == [Gained(HOUR, 0, [b"a", b"b"]), Gained(FOUR, 0, [b"c"])]
        assert set(kept(kept(topic, later[:out]), second.records([], HOUR_MS // 2))) == set(topic)
    for out in range(3, len(later) + 1):
        second, found = resumed(kept(topic, later[:out]), exactly_once=False)
        assert [(one.calendar, one.start_ms) for one in found] == [(FOUR, 0), (HOUR, HOUR_MS)]
        assert second.through_ms == HOUR_MS
        # Windows that are published again move nothing back.
        assert set(kept(topic, second.records([], HOUR_MS // 2))) >= {b"head"}
        assert second.through_ms == HOUR_MS


def test_a_session_that_has_been_replaced_writes_over_nothing() -> None:
    old, topic = begun()
    new, _ = resumed(topic)
    for state in (new, old):
        state.take([gained(HOUR, 0, b"new" if state is new else b"old")])
    topic = kept(kept(topic, old.records([], HOUR_MS)), new.records([], HOUR_MS))
    _, found = restored(topic.items(), calendars(), "s3", HOUR_MS, exactly_once=False)
    assert found[0].values == [b"a", b"b", b"new"]


def test_a_topic_that_was_emptied_is_refused() -> None:
    assert refused({}) == (
        "the state topic does not say what open periods hold: it was deleted or emptied; restore it, or start"
        " anew with --from earliest"
    )


@pytest.mark.parametrize("key", [b"hour 0 s1 0", b"hour 0 s1 1"])
def test_a_record_that_is_gone_is_noticed(key: bytes) -> None:
    _, topic = begun()
    del topic[key]
    assert refused(topic) == (
        "the state topic has lost 1 of 2 records of an open hour: deleted, expired or compacted away; restore"
        " it, or start anew with --from earliest"
    )


@pytest.mark.parametrize(
    ("until_ms", "exactly_once"), [(HOUR_MS, True), (HOUR_MS, False), (HOUR_MS // 2 - 1, True)]
)
def test_another_moment_than_that_of_the_checkpoint_is_refused(until_ms: int, exactly_once: bool) -> None:
    _, topic = begun()
    assert refused(topic, until_ms, exactly_once=exactly_once).startswith(
        "the state topic and the committed checkpoint are of different moments: "
    )


@pytest.mark.parametrize("head", [b"", b"{}", b'{"version": 1}', b"[]", b"\xff"])
def test_damage_is_noticed(head: bytes) -> None:
    _, topic = begun()
    assert refused({**topic, b"head": head}) == (
        "the state topic is damaged; restore it, or start anew with --from earliest"
    )


def test_another_version_is_refused() -> None:
    _, topic = begun()
    assert "another version of streamagg" in refused({**topic, b"head": b'{"version": 2, "x": 1}'})
