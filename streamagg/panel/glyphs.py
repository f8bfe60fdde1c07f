"""What a terminal can show: block characters, or ASCII where its encoding has none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters that not every encoding has."""

    full: str
    rest: str
    levels: str
    """Of a sparkline, the lowest first."""
    arrow: str
    dots: str
    about: str


BLOCKS: Final = Glyphs("█", "░", "▁▂▃▄▅▆▇█", "→", "…", "≈")
ASCII: Final = Glyphs("#", ".", "_.:-=+*#", "->", "...", "~")


def glyphs_for(encoding: str) -> Glyphs:
    """Those that a terminal with this encoding shows."""
    return BLOCKS if encoding.lower().startswith("utf") else ASCII


def sparkline(values: Sequence[float], glyphs: Glyphs) -> str:
    """A character for each value, as high as its part of the greatest."""
    most = max(values, default=0.0) or 1.0
    top = len(glyphs.levels) - 1
    return "".join(glyphs.levels[round(max(0.0, value) / most * top)] for value in values)


def cropped(text: Text, width: int, glyphs: Glyphs) -> Text:
    """The text, cut with dots where it is wider."""
    if text.cell_len <= width:
        return text
    short = text.copy()
    short.truncate(max(0, width - len(glyphs.dots)))
    return short.append(glyphs.dots[:width])


def printable(text: str) -> str:
    """Without what a terminal would obey instead of showing it."""
    return "".join(char if char.isprintable() else " " for char in text)
