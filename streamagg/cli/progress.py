"""A progress bar on the terminal behind stderr, where one may be drawn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[float, int], None]
"""Called with what part of the work is done (in the unit of the total) and how many records that was."""


@contextmanager
def progress_bar(doing: str, total: float | None, *, drawn: bool) -> Iterator[Advance]:
    """A bar with records, records a second and the time left, which no line breaks; nothing unless ``drawn``.

    ``total`` None means that nobody knows where the end is.
    """
    if not drawn:
        yield lambda done, records: None
        return
    from streamagg.panel.bar import BarFoot
    from streamagg.panel.screen import Screen

    bar = BarFoot(doing, total)
    with Screen(bar):
        yield bar.advance
