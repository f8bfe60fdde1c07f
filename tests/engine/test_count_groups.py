"""Groups and measures of files: the rules of a run and any order come to the same bytes."""

import itertools
import json
import random
import re
from pathlib import Path

import pytest

from streamagg.cli import execute
from streamagg.tools.generate import GenerateSettings, records

MADE = GenerateSettings(3_000, users=200, rate=5, size_bytes=250, visits=True)
"""Ten minutes."""
AS_RUN = ("--as-run", "--max-lag", "2m")
OPS = ("count", "sum", "avg", "min", "max", "first", "last", "uniques")
ASKED = (
    *("--group-by", "country", "--group-by", "page.section", "--empty-windows"),
    *(f"--measure={op}_of_{field}={op}({field})" for op in OPS for field in ("bytes", "price")),
)


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    """In order, with a gap of some minutes; no two have the same time."""
    plain = enumerate(itertools.chain.from_iterable(records(MADE)))
    every = [re.sub(rb'"ts":(\d+)', rb'"ts":\1.%03d' % (n % 1_000), record) for n, record in plain]
    return every[:1_000] + every[2_500:]


def counted(
    made: list[bytes], path: Path, capsys: pytest.CaptureFixture[str], *flags: str, files: int = 1
) -> list[str]:
    paths = [path / f"{number}.jsonl" for number in range(files)]
    for number, file in enumerate(paths):
        file.write_bytes(b"\n".join(made[number::files]))
    assert execute(["count", *map(str, paths), "--inline", "--format", "jsonl", *ASKED, *flags]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "more", [(), ("--top", "3"), ("--user-field", "none")], ids=["all", "top", "no-users"]
)
def test_any_order_counts_as_a_run_does(
    made: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    """What is first and last goes by time."""
    as_run = counted(made, tmp_path, capsys, *AS_RUN, *more)
    assert any('"group":' in line for line in as_run)
    assert any('"groups":0' in line for line in as_run)
    assert counted(made, tmp_path, capsys, *more) == as_run
    shuffled = random.Random(1).sample(made, len(made))
    assert counted(shuffled, tmp_path, capsys, *more) == as_run
    assert counted(shuffled, tmp_path, capsys, *more, files=3) == as_run


def test_too_many_groups_end_it_or_leave_totals(
    made: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    most = ("--max-groups", "50")
    totals = counted(made, tmp_path, capsys, *most, "--above-max-groups", "totals")
    assert any("groups_dropped" in line for line in totals)
    assert counted(made, tmp_path, capsys, *most, "--above-max-groups", "totals", *AS_RUN) == totals
    whole = [line for line in counted(made, tmp_path, capsys) if '"group":' not in line]
    assert [without_groups(line) for line in totals if '"group":' not in line] == [
        without_groups(line) for line in whole
    ]
    assert execute(["count", str(tmp_path / "0.jsonl"), "--inline", *ASKED, *most]) == 6
    assert "more than 50 groups" in capsys.readouterr().err


def without_groups(line: str) -> str:
    return line.replace('"groups_dropped":true', "").partition('"groups":')[0].partition(',"count_of')[0]


@pytest.mark.parametrize("share", [0.9, 0.0], ids=["one has most", "each appears once"])
@pytest.mark.parametrize("rules", [(), AS_RUN], ids=["any order", "as run"])
def test_groups_of_very_different_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float, rules: tuple[str, ...]
) -> None:
    """10,000 records of one window: more groups than are searched for one by one."""
    chance, expected = random.Random(2), dict[str, tuple[set[int], int]]()
    lines = []
    for number in range(10_000):
        page = "big" if chance.random() < share else f"p{number}"
        user, size = chance.randrange(300), chance.randrange(-9, 9)
        users, total = expected.get(page, (set(), 0))
        expected[page] = users | {user}, total + size
        lines.append(f'{{"ts":60,"uid":{user},"page":"{page}","bytes":{size}}}')
    file = tmp_path / "sizes.jsonl"
    file.write_text("\n".join(lines))
    flags = ("--inline", "--format", "jsonl", "--group-by", "page", "--measure", "bytes=sum(bytes)")
    assert execute(["count", str(file), *flags, *rules]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {row["group"]["page"]: (row["cnt"], row["bytes"]) for row in rows[1:]}
    assert found == {page: (len(users), total) for page, (users, total) in expected.items()}
    assert rows[0]["groups"] == len(expected) == len(rows) - 1
    assert rows[0]["cnt"] == 300
