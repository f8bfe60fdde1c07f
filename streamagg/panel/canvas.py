"""What to write to a terminal so that its last lines become others, and text goes above them."""

from collections.abc import Sequence
from typing import Final

_UP: Final = "\r\x1b[{}A"
_CLEAR_LINE: Final = "\x1b[2K"
_CLEAR_BELOW: Final = "\x1b[J"
_NO_WRAP: Final = "\x1b[?7l"
_WRAP: Final = "\x1b[?7h"


class Canvas:
    """Knows what it has drawn; the cursor waits at the beginning of the line below."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def forget(self) -> None:
        """Somebody else has written meanwhile: draw below that."""
        self._widths = []

    def draw(self, lines: Sequence[tuple[str, int]], columns: int, above: str = "") -> str:
        """What puts lines, each with its width, in the place of those drawn before.

        ``above`` is empty or ends with a newline.
        """
        # A terminal that was made narrower has broken the lines that it held.
        rows = sum(max(1, -(-width // columns)) for width in self._widths)
        self._widths = [width for _, width in lines]
        begin = _UP.format(rows) if rows else "\r"
        if above:
            begin += _CLEAR_BELOW + above
        body = "".join(f"{_CLEAR_LINE}{line}\n" for line, _ in lines)
        return begin + _NO_WRAP + body + _CLEAR_BELOW + _WRAP
