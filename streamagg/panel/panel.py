"""The panel of a run: a collector, looked at as often as there is something new."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.text import Text

from streamagg.panel.collector import Collector
from streamagg.panel.drawing import draw, draw_warnings
from streamagg.panel.glyphs import Glyphs
from streamagg.panel.model import Facts
from streamagg.panel.screen import Screen
from streamagg.telemetry import logs
from streamagg.telemetry.health import Health
from streamagg.telemetry.metrics import Metrics


class RunFoot:
    """What a run shows at the foot of a terminal."""

    def __init__(self, facts: Facts, metrics: Metrics, health: Health) -> None:
        self._collector = Collector(facts)
        self._metrics = metrics
        self._health = health
        self._shown: tuple[object, ...] = ()

    def lines(self, width: int, height: int, glyphs: Glyphs) -> Sequence[Text] | None:
        """None while it would look the same."""
        self._collector.look_at(self._metrics.snapshot, tuple(self._health.unready()))
        state = (self._collector.changes, width, height)
        if state == self._shown:
            return None
        self._shown = state
        return draw(self._collector.model(), width, height, glyphs)

    def hear(self, line: str) -> str | None:
        """Only those lines of the log that no longer have a place go above."""
        return self._collector.hear(line)

    def last(self, width: int, height: int, glyphs: Glyphs) -> Sequence[Text]:
        """How it stood at the end; the warnings alone where reading had not begun."""
        self._collector.look_at(self._metrics.snapshot, ())
        model = self._collector.model()
        if model.figures is None:
            return draw_warnings(model, width, glyphs)
        return draw(model, width, height, glyphs)

    def end(self, *, well: bool) -> None:
        """The run has ended."""
        self._collector.end(well=well)


@contextmanager
def panel(facts: Facts, metrics: Metrics, health: Health) -> Iterator[None]:
    """Shows the run on the terminal; what is logged meanwhile comes as JSON to be understood."""
    level = logs.level()
    foot = RunFoot(facts, metrics, health)
    with Screen(foot):
        logs.setup(level, "json")
        well = False
        try:
            yield
            well = True
        finally:
            logs.setup(level, "human")
            foot.end(well=well)
