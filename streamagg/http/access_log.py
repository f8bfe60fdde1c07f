"""A sample of the requests in the log: of each class of status one in so long."""

from collections.abc import Callable
from time import monotonic

from streamagg.events import Log

log = Log(__name__)


class AccessLog:
    """Writes at most one line of each class of status in an interval."""

    def __init__(self, interval_ms: int, clock: Callable[[], float] = monotonic) -> None:
        """``interval_ms``: 0 writes nothing. ``clock`` returns seconds."""
        self._interval_s = interval_ms / 1_000
        self._clock = clock
        self._due_s: dict[int, float] = {}

    def wants(self, status: int) -> bool:
        """Whether a request that was answered so is the next to be written."""
        if not self._interval_s:
            return False
        now_s = self._clock()
        if now_s < self._due_s.get(status // 100, 0.0):
            return False
        self._due_s[status // 100] = now_s + self._interval_s
        return True

    def write(self, method: str, path: str, status: int, seconds: float, client: str) -> None:
        """``path`` without its query, which may hold anything."""
        log.info(
            "request",
            "{method} {path} from {client}: {status} in {milliseconds} ms",
            method=method,
            path=path,
            client=client,
            status=status,
            milliseconds=round(seconds * 1_000, 1),
        )
