"""Counters of partitions: added, subtracted, read again, and as they stand in ``--stats-json``."""

import msgspec

from streamagg.model.counters import Counters

some = Counters(
    consumed=20,
    payload_bytes=400,
    counted=5,
    late=4,
    closed_early=1,
    published_before=2,
    rejected={"future": 1, "bad_json": 2},
    values_ignored={"bytes": 4},
    set_aside=3,
    waiting=2,
    read_again=1,
)
one_more = Counters(
    consumed=3, counted=1, rejected={"tombstone": 1, "future": 1}, values_ignored={"bytes": 1, "price": 1}
)


def test_sums_are_those_of_both() -> None:
    assert some + one_more == Counters(
        consumed=23,
        payload_bytes=400,
        counted=6,
        late=4,
        closed_early=1,
        published_before=2,
        rejected={"future": 2, "bad_json": 2, "tombstone": 1},
        values_ignored={"bytes": 5, "price": 1},
        set_aside=3,
        waiting=2,
        read_again=1,
    )


def test_reasons_stay_in_the_order_in_which_they_came() -> None:
    assert list((some + one_more).rejected) == ["future", "bad_json", "tombstone"]


def test_the_difference_is_what_has_come_since() -> None:
    assert (some + one_more) - some == one_more
    assert some - some == Counters()


def test_sums_share_nothing_with_what_they_are_made_of() -> None:
    copy = some + Counters()
    abandoned = some.abandoned()
    copy.reject("bad_json", 5)
    abandoned.reject("bad_json", 7)
    for other in (copy, abandoned):
        other.values_ignored["bytes"] = 9
    assert some.values_ignored == {"bytes": 4}
    assert (some.rejected["bad_json"], copy.rejected["bad_json"]) == (2, 7)
    assert Counters().rejected == {}


def test_what_was_undecided_is_read_again_from_the_checkpoint() -> None:
    assert some.abandoned() == msgspec.structs.replace(some, set_aside=0, waiting=0, read_again=6)


def test_late_and_rejected_records_are_in_no_count() -> None:
    assert some.uncounted == 4 + 3


def test_the_names_in_a_file_are_these() -> None:
    """What reads ``--stats-json`` relies on them."""
    assert msgspec.json.encode(some).decode() == (
        '{"records":20,"payload_bytes":400,"counted":5,"late":4,"closed_early":1,"published_before":2,'
        '"rejected":{"future":1,"bad_json":2},"values_ignored":{"bytes":4},"set_aside":3,"waiting":2,"read_again":1}'
    )
