"""A run as lines of text: whole pictures, at several sizes and in several encodings."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from streamagg.panel.bar import BarFoot, draw_bar
from streamagg.panel.drawing import draw, draw_warnings, rough
from streamagg.panel.glyphs import ASCII, BLOCKS, Glyphs, glyphs_for, printable, sparkline
from streamagg.panel.model import Line, Model
from streamagg.panel.table import Row, moment, table
from streamagg.telemetry.snapshot import GroupSample, OpenWindow, WindowSample
from tests.support.panel import FACTS, FIGURES, MODEL, NOW_MS, WARNING

WIDE = """\
streamagg  visits → visitors                                     leader  0:12:32
group streamagg, windows of 1m, max lag 5s, http://127.0.0.1:9464/metrics

rate        182,310 records/s  ▁▃▆▇██████▇▅▅▅▆▇█████████▇██████████
to read     1,203,441, caught up in 8 s
event time  2 min 14 s behind the clock: 2026-01-31 12:00:00
counted     12,345,678 of 12,400,000
late        1,203 (<0.01 %): closed_early 12
rejected    17 (<0.01 %): bad_json 15, future 2

window (UTC)      unique users  records  █ unique users ░ records
2026-01-31 11:53         6,102    6,657  ████████████████████████████████████░░░
2026-01-31 11:54         6,080    6,666  ████████████████████████████████████░░░
2026-01-31 11:55         5,990    6,607  ███████████████████████████████████░░░░
2026-01-31 11:56         5,871    6,519  ██████████████████████████████████░░░░
2026-01-31 11:57         5,803    6,482  ██████████████████████████████████░░░░
2026-01-31 11:58         5,766    6,476  ██████████████████████████████████░░░░
2026-01-31 11:59         5,792    6,533  ██████████████████████████████████░░░░
2026-01-31 12:00          open    3,120  ░░░░░░░░░░░░░░░░░░
2026-01-31 12:01          open      211  ░

12:00:01  WARNING  unmarshaller-0 (process 42) died: signal 9; replaced
12:01:00  partition 3 is idle: time goes on without it"""
MIDDLE = """\
streamagg  visits -> visitors                leader  0:12:32
group streamagg, windows of 1m, max lag 5s, http://127.0....

rate        182,310 records/s  ###*===+*#########*##########
to read     1,203,441, caught up in 8 s
event time  2 min 14 s behind the clock: 2026-01-31 12:00:00
counted     12,345,678 of 12,400,000
late        1,203 (<0.01 %): closed_early 12
rejected    17 (<0.01 %): bad_json 15, future 2

window (UTC)      unique users  records
2026-01-31 11:57         5,803    6,482  #################..
2026-01-31 11:58         5,766    6,476  #################..
2026-01-31 11:59         5,792    6,533  #################..
2026-01-31 12:00          open    3,120  .........

12:00:01  WARNING  unmarshaller-0 (process 42) died: signal
9; replaced
12:01:00  partition 3 is idle: time goes on without it"""
NARROW = """\
streamagg  visits → vi…  leader  0:12:32
rate        182,310 records/s  █████████
to read     1,203,441, caught up in 8 s
event time  2 min 14 s behind the clock…
counted     12,345,678 of 12,400,000
late        1,203 (<0.01 %): closed_ear…
rejected    17 (<0.01 %): bad_json 15, …
window  users  records
11:58   5,766    6,476  ██████████████░░
11:59   5,792    6,533  ██████████████░░
12:00    open    3,120  ░░░░░░░░
12:00:01  WARNING  unmarshaller-0
(process 42) died: signal 9; replaced"""
LOW = """\
streamagg  visits ->...  leader  0:12:32
rate        182,310 records/s  #########
to read     1,203,441, caught up in 8 s
event time  2 min 14 s behind the clo...
window  users  records
11:59   5,792    6,533  ##############..
12:00:01  WARNING  unmarshaller-0
(process 42) died: signal 9; replaced"""


GROUPED = """\
window (UTC)      unique users  records  █ unique users ░ records
2026-01-31 11:57         5,803    6,482  ███████████████████████████████████░░░░
2026-01-31 11:58         5,766    6,476  ██████████████████████████████████░░░░░
2026-01-31 11:59         5,792    6,533  ███████████████████████████████████░░░░
2026-01-31 12:00          open    3,120  ░░░░░░░░░░░░░░░░░░░

top of 1,213 groups, 11:59:00  unique users  records
DE, sport                             1,200    1,500
(null), köln [31m                       900    1,000
US, news                                  9       10
"""
USERLESS = """\
window (UTC)            records  █ records
2026-01-31 11:57          6,482  ███████████████████████████████████████████████
2026-01-31 11:58          6,476  ███████████████████████████████████████████████
2026-01-31 11:59          6,533  ███████████████████████████████████████████████
2026-01-31 12:00  open    3,120  ░░░░░░░░░░░░░░░░░░░░░░

top of 1,213 groups, 11:59:00  records
DE, sport                        1,500
(null), köln [31m                1,000
US, news                            10
"""


def grouped(*, users: bool) -> Model:
    """A run with groups, one of them with what a terminal obeys in its name."""
    texts = [b'["DE","sport"]', '[null,"köln\\u001b[31m"]'.encode(), b'["US","news"]', b'["FR","news"]']
    numbers = [(1_200, 1_500), (900, 1_000), (9, 10), (8, 8)]
    top = tuple(
        GroupSample(text, unique if users else None, records)
        for text, (unique, records) in zip(texts, numbers, strict=True)
    )
    *before, last = FIGURES.published
    windows = (*before, replace(last, groups=1_213, top=top))
    if not users:
        windows = tuple(replace(window, unique=None) for window in windows)
    return replace(MODEL, facts=replace(FACTS, users=users), figures=replace(FIGURES, published=windows))


def drawn(model: Model, width: int = 80, height: int = 24, glyphs: Glyphs = BLOCKS) -> str:
    """The lines, without blanks at their ends."""
    lines = draw(model, width, height, glyphs)
    assert len(lines) < height
    assert max(line.cell_len for line in lines) <= width
    return "\n".join(line.plain.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("width", "height", "glyphs", "expected"),
    [(80, 24, BLOCKS, WIDE), (60, 20, ASCII, MIDDLE), (40, 14, BLOCKS, NARROW), (40, 9, ASCII, LOW)],
)
def test_a_leader(width: int, height: int, glyphs: Glyphs, expected: str) -> None:
    assert drawn(MODEL, width, height, glyphs) == expected


@pytest.mark.parametrize(("users", "expected"), [(True, GROUPED), (False, USERLESS)])
def test_the_top_groups_stand_below_the_windows(users: bool, expected: str) -> None:
    assert expected in drawn(grouped(users=users), 80, 24)
    assert drawn(grouped(users=users), 80, 60).count("FR, news") == 1, "there is more room"


def test_groups_give_way_to_windows() -> None:
    assert "top of" not in drawn(grouped(users=True), 80, 19)


@pytest.mark.parametrize("width", [1, 7, 20, 40, 79, 200])
@pytest.mark.parametrize("height", [1, 2, 5, 12, 60])
@pytest.mark.parametrize("glyphs", [ASCII, BLOCKS])
def test_it_fits_any_terminal(width: int, height: int, glyphs: Glyphs) -> None:
    for model in (grouped(users=True), grouped(users=False)):
        lines = draw(model, width, height, glyphs)
        assert len(lines) <= max(1, height - 1)
        assert max(line.cell_len for line in lines) <= width
    lines = draw(replace(MODEL, warnings=(WARNING,) * 3), width, height, glyphs)
    assert len(lines) <= max(1, height - 1)
    assert max(line.cell_len for line in lines) <= width
    if glyphs is ASCII:
        assert "".join(line.plain for line in lines).isascii()


def test_before_kafka_is_reached() -> None:
    model = Model(FACTS, "waiting", 1.0, NOW_MS)
    assert drawn(model) == (
        "streamagg  visits → visitors                          waiting for Kafka  0:00:01\n"
        "group streamagg, windows of 1m, max lag 5s\n"
        "\n"
        "reaching Kafka at kafka:9092, and joining the group ..."
    )


def test_a_standby() -> None:
    assert drawn(Model(FACTS, "standby", 3_601.0, NOW_MS)).splitlines() == [
        "streamagg  visits → visitors                                    standby  1:00:01",
        "group streamagg, windows of 1m, max lag 5s",
        "",
        "another instance of the group counts; this one takes over when that one ends",
    ]


def test_away_from_kafka_the_last_figures_stay() -> None:
    nowhere = replace(MODEL, facts=replace(MODEL.facts, bootstrap=None), state="waiting", figures=None)
    assert "waiting  0:12:32" in (text := drawn(nowhere))
    assert "reaching visitors" in text
    text = drawn(replace(MODEL, state="waiting"))
    assert "waiting for Kafka  0:12:32" in text
    assert "182,310 records/s" in text


def test_why_a_leader_is_not_ready() -> None:
    assert drawn(replace(MODEL, unready=("aggregator-0 does not answer",))).splitlines()[1] == (
        "not ready: aggregator-0 does not answer"
    )


def test_stopping_is_told_on_the_smallest_screen_too() -> None:
    for height in (24, 14):
        lines = drawn(replace(MODEL, state="stopping"), 80, height).splitlines()
        assert lines[0].endswith("stopping  0:12:32")
        assert lines[-1] == "stopping ... what is under way is finished; Ctrl-C again ends it at once"


@pytest.mark.parametrize(
    ("lag", "falls", "expected"),
    [
        (0, 5.0, "nothing: read to the end"),
        (300_000, 5.0, "300,000, keeping up"),
        (1_203_441, None, "1,203,441"),
        (1_203_441, 20_000.0, "1,203,441, caught up in 1 min"),
        (1_203_441, -250.0, "1,203,441, growing by 250 a second"),
        (1_203_441, 0.0, "1,203,441, not getting fewer"),
    ],
)
def test_what_is_left_to_read(lag: int, falls: float | None, expected: str) -> None:
    text = drawn(replace(MODEL, figures=replace(FIGURES, lag=lag, lag_falls=falls)))
    assert f"\nto read     {expected}\n" in text


@pytest.mark.parametrize(
    ("watermark_ms", "expected"),
    [
        (None, "not known before every partition has had a record"),
        (NOW_MS - 300, "under a second behind the clock: 2026-01-31 12:02:13"),
        (NOW_MS + 5_000, "5 s ahead of the clock: 2026-01-31 12:02:19"),
        (1_468_244_384_000, "9 years behind the clock: 2016-07-11 13:39:44"),
        (1 << 60, f"36558844 years ahead of the clock: {1 << 60}"),
    ],
)
def test_how_far_event_time_is(watermark_ms: int | None, expected: str) -> None:
    text = drawn(replace(MODEL, figures=replace(FIGURES, watermark_ms=watermark_ms)))
    assert f"\nevent time  {expected}\n" in text


def test_many_late_or_rejected_records_stand_out() -> None:
    figures = replace(FIGURES, rejected={"future": 412_000, "bad_json": 15})
    lines = draw(replace(MODEL, figures=figures), 80, 24, BLOCKS)
    late, rejected = (next(line for line in lines if line.plain.startswith(name)) for name in ("late", "rej"))
    assert [str(span.style) for span in late.spans] == ["dim"]
    assert [str(span.style) for span in rejected.spans] == ["dim", "bold yellow"]
    assert rejected.plain == "rejected    412,015 (3.3 %): future 412,000, bad_json 15"
    none = drawn(replace(MODEL, figures=replace(FIGURES, late=0, rejected={})))
    assert "\nlate        0\nrejected    0\n" in none


def test_what_nobody_hit_and_what_is_estimated() -> None:
    figures = replace(
        FIGURES,
        published=(WindowSample(0, 0, 0), WindowSample(30_500, 1_000, 1_000, error=0.02)),
        open=(OpenWindow(61_000, 10),),
    )
    assert drawn(replace(MODEL, figures=figures, warnings=(), said=None)).splitlines()[-4:] == [
        "window (UTC)             unique users  records  █ unique users ░ records",
        "1970-01-01 00:00:00.000             0        0",
        "1970-01-01 00:00:30.500        ≈1,000    1,000  ████████████████████████████████",
        "1970-01-01 00:01:01.000          open       10",
    ]


def test_the_picture_in_the_readme_is_what_is_drawn() -> None:
    """Made by ``python -m tests.support.panel docs/run.svg``."""
    svg = (Path(__file__).parents[2] / "docs" / "run.svg").read_text("utf-8")
    shown = "".join(html.unescape(re.sub("<[^>]*>", "", svg)).split())
    for line in draw(MODEL, 80, 26, BLOCKS):
        assert "".join(line.plain.split()) in shown


def test_days_have_no_time_of_day() -> None:
    rows = [Row(n * 86_400_000, 1, 1) for n in range(2)]
    assert [line.plain.split()[0] for line in table(rows, 39, BLOCKS, dated=False)[1:]] == [
        "1970-01-01",
        "1970-01-02",
    ]
    assert moment(1 << 62, dated=True) == str(1 << 62)


def test_warnings_are_wrapped_and_their_control_characters_gone() -> None:
    long = replace(MODEL, warnings=(Line("12:00:00", "error", "a " * 59 + "z"),))
    first = "12:00:00  ERROR  " + "a " * 11 + "a"
    assert [line.plain for line in draw_warnings(long, 40, BLOCKS)] == [
        first,
        *["a " * 19 + "a"] * 2,
        "a " * 7 + "z",
    ]
    *_, second, third = drawn(long, 40, 14).splitlines()
    assert (second, third) == (first, "a " * 19 + "a…")
    assert printable("a\x1b[2Jb\nc") == "a [2Jb c"


def test_at_the_end_all_of_the_warnings_can_be_read() -> None:
    long = replace(MODEL, warnings=(Line("12:00:00", "error", "a " * 600 + "z"),))
    *_, last, said = draw(replace(long, state="ended"), 40, 14, BLOCKS)
    assert last.plain.endswith("z")
    assert said.plain.startswith("12:01:00  partition 3")


def test_a_sparkline_goes_from_nothing_to_the_greatest() -> None:
    assert sparkline([0, 1, 2, 3.5, 7], BLOCKS) == "▁▂▃▅█"
    assert sparkline([0, 0], BLOCKS) == "▁▁"
    assert sparkline([], BLOCKS) == ""
    assert sparkline([0, 7], ASCII) == "_#"


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", BLOCKS), ("UTF-8", BLOCKS), ("ascii", ASCII), ("iso-8859-1", ASCII), ("cp1252", ASCII)],
)
def test_every_encoding_has_its_characters(encoding: str, glyphs: Glyphs) -> None:
    assert glyphs_for(encoding) is glyphs
    for text in (glyphs.full, glyphs.rest, glyphs.levels, glyphs.arrow, glyphs.dots, glyphs.about):
        text.encode(encoding)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "under a second"),
        (59, "59 s"),
        (60, "1 min"),
        (134, "2 min 14 s"),
        (3_600, "1 h"),
        (11_520, "3 h 12 min"),
        (86_400 * 3 + 7_200, "3 days"),
        (86_400 * 800, "2 years"),
    ],
)
def test_durations_as_one_says_them(seconds: float, text: str) -> None:
    assert rough(seconds) == text


@pytest.mark.parametrize(
    ("part", "width", "glyphs", "expected"),
    [
        (0.25, 80, BLOCKS, "to t  " + "█" * 8 + "░" * 22 + "   25 %  1,000 records, 100/s, 30 s left"),
        (0.25, 45, ASCII, "to t   25 %  1,000 records, 100/s, 30 s left"),
        (0.25, 30, ASCII, "to t   25 %  1,000 records,..."),
        (1.0, 50, BLOCKS, "to t  ███████████████  100 %  1,000 records, 100/s"),
        (None, 80, BLOCKS, "to t  1,000 records, 100/s"),
    ],
)
def test_a_bar(part: float | None, width: int, glyphs: Glyphs, expected: str) -> None:
    assert draw_bar("to t", part, 1_000, 10.0, width, glyphs).plain == expected


def test_a_bar_shows_what_it_was_told_last() -> None:
    now_s = 5.0
    bar = BarFoot("reading", 200.0, lambda: now_s)
    now_s = 7.0
    bar.advance(100.0, 10)
    (line,) = bar.lines(80, 24, ASCII)
    assert line.plain.split() == [
        "reading",
        "#" * 15 + "." * 15,
        "50",
        "%",
        "10",
        *["records,", "5/s,", "2", "s", "left"],
    ]
    assert (bar.hear("a line"), bar.last(80, 24, ASCII)) == ("a line", [])
