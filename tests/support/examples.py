"""How thorough property tests are."""

import os
from typing import Final

_TIMES: Final = int(os.environ.get("EXAMPLES", "1"))


def examples(number: int) -> int:
    """So many, or ``EXAMPLES`` (of the environment) times as many."""
    return number * _TIMES
