"""What `bench.public` calls a difference: one that it missed would look like agreement."""

from typing import Any

from bench.public import compare

WINDOW: dict[str, Any] = {"ts": 0, "cnt": 2, "mean": 0.1}
PERIOD: dict[str, Any] = {**WINDOW, "calendar": "day", "end": 86_400}
GROUP: dict[str, Any] = {**PERIOD, "group": {"carrier": "UA"}, "mean": None}
TRUTH = [WINDOW, PERIOD, GROUP]


def test_rows_in_any_order_with_further_fields_agree() -> None:
    found = compare(TRUTH, [{**row, "v": 1} for row in reversed(TRUTH)])
    assert found.differences == []
    assert (found.rows, found.values) == ({"windows": 1, "periods": 1, "groups": 1}, 8)


def test_every_kind_of_difference_is_found() -> None:
    last_digit = {**WINDOW, "mean": 0.1 + 2**-56}
    without = {name: value for name, value in GROUP.items() if name != "mean"}
    stranger = {**GROUP, "group": {"carrier": None}}
    for counted in (
        [last_digit, PERIOD, GROUP],
        [WINDOW, {**PERIOD, "end": 86_399}, GROUP],
        [WINDOW, PERIOD, without],
        [WINDOW, PERIOD],
        [*TRUTH, stranger],
        [*TRUTH, GROUP],
    ):
        assert len(compare(TRUTH, counted).differences) == 1, counted
