"""Lines at the foot of a terminal: redrawn in place, and broken by nobody who writes there too."""

import sys
from pathlib import Path

import pytest

from streamagg.panel.canvas import Canvas
from tests.support.terminal import Picture, Terminal

# What a verb does with a panel, in small: others write to the terminal in every way there is.
PROGRAM = """
import os, subprocess, sys
from streamagg.telemetry import streams
from rich.text import Text
from streamagg.events import Log
from streamagg.panel.screen import Screen
from streamagg.telemetry import logs

class Foot:
    n = 0
    def lines(self, width, height, glyphs):
        self.n += 1
        return [Text(f"{width} x {height} {glyphs.full}", "bold"), Text(f"draw {self.n}")]
    def hear(self, line):
        return None if line == "hidden" else line
    def last(self, width, height, glyphs):
        return [Text("the end")]

streams.prepare()
logs.setup("info")
log = Log("streamagg.some.module")
with Screen(Foot()):
    sys.stdin.readline()
    log.info("first", "from the log")
    os.write(2, b"from a handler ")
    os.write(2, b"of signals\\nhidden\\n")
    print("from stdout")
    subprocess.run([sys.executable, "-c", "import sys; print('from a worker', file=sys.stderr)"], check=True)
    sys.stdin.readline()
    os.write(2, b"without its end")
print("after it")
"""


def test_a_canvas_draws_in_place_and_text_goes_above() -> None:
    picture, canvas = Picture(), Canvas()
    picture.feed("$ command\n")
    picture.feed(canvas.draw([("one", 3), ("two", 3)], 80))
    picture.feed(canvas.draw([("1", 1), ("2", 1), ("3", 1)], 80, "a line\n"))
    assert picture.text == "$ command\na line\n1\n2\n3"
    picture.feed(canvas.draw([("last", 4)], 80))
    assert picture.text == "$ command\na line\nlast"
    picture.feed(canvas.draw([], 80, "another\n") + "$ ")
    assert picture.text == "$ command\na line\nanother\n$"


def test_a_canvas_draws_below_what_others_wrote_once_it_has_forgotten() -> None:
    picture, canvas = Picture(), Canvas()
    picture.feed(canvas.draw([("one", 3)], 80) + "[1]+ Stopped\n")
    canvas.forget()
    picture.feed(canvas.draw([("two", 3)], 80))
    assert picture.text == "one\n[1]+ Stopped\ntwo"


def test_a_canvas_finds_its_lines_again_after_a_terminal_has_broken_them() -> None:
    """Ten columns that become four: the line of nine takes three rows then."""
    picture, canvas = Picture(), Canvas()
    canvas.draw([("123456789", 9), ("12", 2)], 10)
    picture.feed("$ command\n1234\n5678\n9\n12\n")
    picture.feed(canvas.draw([("now", 3)], 4))
    assert picture.text == "$ command\nnow"


def test_what_others_write_goes_above() -> None:
    with Terminal([sys.executable, "-c", PROGRAM], size=(40, 10)) as terminal:
        terminal.wait_for("draw 2")
        assert terminal.picture.text.startswith("40 x 10 █\ndraw ")
        terminal.press(b"\n")
        terminal.wait_for("from a worker\n40 x 10 █\ndraw ")
        terminal.press(b"\n")
        assert terminal.wait() == 0
    first, *lines = [line for line in terminal.picture.text.splitlines() if line]
    assert first.endswith("INFO    from the log")
    assert lines == [
        "from a handler of signals",
        "from stdout",
        "from a worker",
        "without its end",
        "the end",
        "after it",
    ]


def test_the_last_lines_are_heard_before_what_is_left_is_drawn() -> None:
    """One that belongs to the lines at the foot is among those that stay."""
    program = PROGRAM.replace('None if line == "hidden" else line', "setattr(self, 'heard', line)").replace(
        '"the end"', "self.heard"
    )
    with Terminal([sys.executable, "-c", program]) as terminal:
        terminal.press(b"\n\n")
        assert terminal.wait() == 0
    assert terminal.picture.text.endswith("without its end\nafter it")


FLOOD = PROGRAM.replace('"from stdout"', r"('x' * 100 + '\n') * 2_000")


def test_more_than_a_pipe_holds_goes_above_whole() -> None:
    with Terminal([sys.executable, "-c", FLOOD], size=(120, 10)) as terminal:
        terminal.press(b"\n\n")
        assert terminal.wait() == 0
    assert terminal.picture.text.count("x" * 100 + "\n") == 2_000


@pytest.mark.parametrize(
    ("env", "shown"),
    [
        ({"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}, "#"),
        ({"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}, "#"),
        ({}, "█"),
    ],
)
def test_it_shows_what_the_encoding_has(env: dict[str, str], shown: str) -> None:
    with Terminal([sys.executable, "-c", PROGRAM], env) as terminal:
        terminal.wait_for(f"80 x 24 {shown}")


def test_no_color_means_none() -> None:
    with Terminal([sys.executable, "-c", PROGRAM.replace("bold", "bold red")]) as terminal:
        terminal.wait_for("80 x 24")
        assert "31m" in terminal.written
    with Terminal([sys.executable, "-c", PROGRAM.replace("bold", "bold red")], {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("80 x 24")
        assert "31m" not in terminal.written


BROKEN = PROGRAM.replace("self.n += 1", "raise RuntimeError('cannot draw')")


def test_a_defect_in_drawing_keeps_nobody_from_writing() -> None:
    with Terminal([sys.executable, "-c", BROKEN]) as terminal:
        terminal.wait_for("cannot draw")
        terminal.press(b"\n\n")
        assert terminal.wait() == 0
    assert "from the log" in terminal.picture.text
    assert terminal.picture.text.endswith("after it")


CAN_DRAW = "from streamagg.panel.terminal import can_draw; print(can_draw())"


@pytest.mark.parametrize(
    ("env", "drawn"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"CI": "true"}, False),
        ({"CI": "1"}, False),
        ({"CI": "false"}, True),
        ({"CI": ""}, True),
    ],
)
def test_where_lines_can_be_drawn(env: dict[str, str], drawn: bool) -> None:
    with Terminal([sys.executable, "-c", CAN_DRAW], env) as terminal:
        assert terminal.wait() == 0
    assert terminal.picture.text == str(drawn)


def test_nothing_is_drawn_into_a_file(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-c", CAN_DRAW], stderr=tmp_path / "stderr") as terminal:
        assert terminal.wait() == 0
    assert terminal.picture.text == "False"
