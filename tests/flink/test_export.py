"""What the tests in Java compare with: there is enough of each kind. ``make flink-test`` runs them."""

from itertools import islice

import orjson
import pytest

from tests.flink.export.__main__ import FILES
from tests.flink.export.clocks import clocks
from tests.flink.export.decoding import decoding
from tests.flink.export.windows import windows
from tests.support.corpus import CASES

SOME = 200


@pytest.mark.parametrize("name", FILES)
def test_lines_are_json_objects(name: str) -> None:
    for line in islice(FILES[name](), 3):
        assert isinstance(orjson.loads(orjson.dumps(line)), dict)


def test_the_whole_corpus_is_among_the_records() -> None:
    names = [line["name"] for line in islice(decoding(), len(CASES))]
    assert names == [case["name"] for case in CASES]


def test_clocks_give_every_verdict() -> None:
    some = list(islice(clocks(), SOME))
    for kind in ("counted", "late", "future", "jumps", "silences"):
        assert sum(bool(stream[kind]) for stream in some) > SOME // 20
    assert any(stream["state"]["set_aside"] for stream in some)


def test_windows_have_groups_or_not_and_too_many() -> None:
    values = [window["expect"][0][1] for window in islice(windows(), SOME)]
    for field in ("cnt", "groups", "groups_dropped", "calendar", "items"):
        assert 0 < sum(f'"{field}":' in value for value in values) < SOME
