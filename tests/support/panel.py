"""A run as the panel shows it, made up: for tests, and for the picture in README.md.

``python -m tests.support.panel docs/run.svg`` draws the picture.
"""

import io
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from streamagg.panel.drawing import draw
from streamagg.panel.glyphs import BLOCKS
from streamagg.panel.model import Facts, Figures, Line, Model
from streamagg.telemetry.snapshot import OpenWindow, WindowSample

MINUTE_MS: Final = 60_000
NOW_MS: Final = 1_769_860_934_000
"""2026-01-31T12:02:14Z."""
FACTS: Final = Facts("visits", "visitors", "streamagg", "kafka:9092", MINUTE_MS, 5_000)
_FIRST_MS: Final = 1_769_860_080_000
"""2026-01-31T11:48:00Z."""
_USERS: Final = (5_822, 5_817, 5_840, 5_905, 6_011, 6_102, 6_080, 5_990, 5_871, 5_803, 5_766, 5_792)
_RATES: Final = tuple(
    1_000.0 * thousands
    for thousands in (
        *(0, 41, 120, 168, 182, 183, 180, 183, 184, 176, 151, 118, 96, 104, 131, 160, 178, 183),
        *(181, 182, 184, 179, 182, 183, 171, 166, 174, 181, 183, 182, 180, 184, 183, 182, 181, 182),
    )
)

FIGURES: Final = Figures(
    rate=182_310.0,
    rates=_RATES,
    lag=1_203_441,
    lag_falls=150_000.0,
    watermark_ms=NOW_MS - 134_000,
    records=12_400_000,
    counted=12_345_678,
    late=1_203,
    closed_early=12,
    rejected={"bad_json": 15, "future": 2},
    published=tuple(
        WindowSample(_FIRST_MS + n * MINUTE_MS, users, users + 400 + 31 * n, partial=n == 0)
        for n, users in enumerate(_USERS)
    ),
    open=(OpenWindow(_FIRST_MS + 12 * MINUTE_MS, 3_120), OpenWindow(_FIRST_MS + 13 * MINUTE_MS, 211)),
)
WARNING: Final = Line("12:00:01", "warning", "unmarshaller-0 (process 42) died: signal 9; replaced")
MODEL: Final = Model(
    facts=FACTS,
    state="leader",
    elapsed_s=752.4,
    now_ms=NOW_MS,
    figures=FIGURES,
    warnings=(WARNING,),
    said=Line("12:01:00", "info", "partition 3 is idle: time goes on without it"),
    url="http://127.0.0.1:9464",
)


def picture() -> str:
    """The panel as SVG."""
    console = Console(
        record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in draw(MODEL, 80, 26, BLOCKS):
        console.print(line)
    return console.export_svg(title="streamagg run --input visits --output visitors", unique_id="run")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), "utf-8")
