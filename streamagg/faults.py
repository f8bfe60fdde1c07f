"""What this process does to itself at named points, so that tests can break it there.

``STREAMAGG_FAULT=before-commit:0.1,after-produce:0.05:stop,seed:7``: at the named point, with that
probability, the process kills itself (``kill``, the default), stops until it gets SIGCONT (``stop``), or
the thread that is there hangs for so many seconds (``8``). A seed makes it the same every time.
``poison:TEXT`` kills an unmarshaller that decodes a record which holds the text.
Without the variable nothing is looked up and nothing happens.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, get_args

from streamagg.errors import SettingsError
from streamagg.events import Log

VARIABLE: Final = "STREAMAGG_FAULT"
Point = Literal[
    "before-begin", "after-produce", "before-offsets", "before-commit", "after-commit", "before-free"
]
"""Of one publication; at-least-once has no begin and no offsets of its own."""
POINTS: Final[tuple[str, ...]] = get_args(Point)
_POISON: Final = "poison"
_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class _Fault:
    probability: float
    signal: signal.Signals | None
    hang_s: float = 0.0


def hook(environ: Mapping[str, str] = os.environ) -> Callable[[Point], None]:
    """What to call at each point; raises SettingsError for a variable that cannot be read."""
    text = environ.get(VARIABLE)
    if not text:
        return lambda point: None
    entries = [entry.split(":") for entry in text.split(",")]
    seeds = [entry[1] for entry in entries if entry[0] == "seed" and len(entry) == 2]
    faults = {entry[0]: _parse(entry) for entry in entries if entry[0] not in ("seed", _POISON)}
    chance = Random(seeds[-1]) if seeds else Random()
    log.warning(
        "fault_armed",
        "{variable} is set: this process breaks itself on purpose at {points}",
        variable=VARIABLE,
        points=", ".join(faults),
    )

    def at(point: Point) -> None:
        fault = faults.get(point)
        if fault is None or chance.random() >= fault.probability:
            return
        log.warning("fault_struck", "{variable}: breaking at {point}", variable=VARIABLE, point=point)
        if fault.signal is not None:
            # To this thread: any other one of the process might take it, and this one go on meanwhile.
            signal.pthread_kill(threading.get_ident(), fault.signal)
        time.sleep(fault.hang_s)

    return at


def poison(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """The text that kills who decodes it, or None."""
    entries = [entry.partition(":") for entry in environ.get(VARIABLE, "").split(",")]
    texts = [text.encode() for name, _, text in entries if name == _POISON and text]
    return texts[-1] if texts else None


def _parse(entry: list[str]) -> _Fault:
    match entry:
        case [point, probability, *action] if point in POINTS and len(action) <= 1:
            try:
                return _fault(float(probability), action[0] if action else "kill")
            except ValueError:
                pass
    raise SettingsError(
        f"{VARIABLE} holds {':'.join(entry)!r}: it must be POINT:PROBABILITY, and then :kill, :stop or "
        f":SECONDS if wanted, with one of the points {', '.join(POINTS)}; or seed:NUMBER or poison:TEXT."
    )


def _fault(probability: float, action: str) -> _Fault:
    """Raises ValueError."""
    if not 0 <= probability <= 1:
        raise ValueError(probability)
    if action in _SIGNALS:
        return _Fault(probability, _SIGNALS[action])
    hang_s = float(action)
    if not 0 <= hang_s <= 3_600:
        raise ValueError(action)
    return _Fault(probability, None, hang_s)
