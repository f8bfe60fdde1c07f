"""What of a file is in no count, and why: told once, and counted."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from streamagg.events import Log
from streamagg.model.measured import ClientNumbers

Why = Literal["out_of_order", "replaced", "shrank", "grew", "gone", "damaged", "foreign"]
WHYS: Final[tuple[Why, ...]] = get_args(Why)

_SENTENCES: Final[Mapping[Why, str]] = {
    "out_of_order": "it appeared before files that are read already. Give it a later name to have it counted",
    "replaced": "its name stands for something else than before. What was read stays counted,"
    " and nothing of what is there is: give it a later name",
    "shrank": "it has become shorter. What was read stays counted, and nothing that is written there is",
    "grew": "it was written to after a later file had been begun. What was added is in no count",
    "gone": "it disappeared before it was read to its end. What was read stays counted",
    "damaged": "it is damaged or cut short. What is before the damage is counted",
    "foreign": "it holds something that is not read",
}

log = Log(__name__)


def tell_skipped(numbers: ClientNumbers, path: str, why: Why, offset: int, detail: str = "") -> None:
    """``offset``: from which on the file is in no count."""
    numbers.skipped[why] = numbers.skipped.get(why, 0) + 1
    log.warning(
        "file_skipped",
        "{path} is not counted from offset {offset} of its log on: {text}{detail}",
        path=path,
        reason=why,
        offset=offset,
        text=_SENTENCES[why],
        detail=detail and f" ({detail})",
    )
