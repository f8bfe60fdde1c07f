"""Periods that are not over, as far as they have come: the last record of each key of that topic."""

import threading
from collections.abc import Iterable
from typing import Any

import orjson

from streamagg.serve.api.live import Happened
from streamagg.serve.records import group_text


class RunningPeriods:
    """Written by the thread that follows, read by those that answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[bytes, dict[str, Any]] = {}

    def take(self, keyed: Iterable[tuple[bytes, bytes | None]]) -> list[Happened]:
        """Records in the order in which they came; what is told of them."""
        told = []
        for key, value in keyed:
            record = _read(value)
            with self._lock:
                if record is None or record["final"]:
                    self._records.pop(key, None)
                else:
                    self._records[key] = record
            if record is not None and value is not None:
                group = record.get("group")
                text = None if group is None else group_text(group)
                told.append(Happened("running", value, record["calendar"], text))
        return told

    def of_all(self) -> list[dict[str, Any]]:
        """The records of all users together."""
        with self._lock:
            return [record for record in self._records.values() if "group" not in record]


def _read(value: bytes | None) -> dict[str, Any] | None:
    """None for what is no record of a running period."""
    try:
        record = orjson.loads(value or b"")
        fits = isinstance(record["calendar"], str) and isinstance(record["final"], bool)
        return record if fits and isinstance(record.get("group", {}), dict) else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
