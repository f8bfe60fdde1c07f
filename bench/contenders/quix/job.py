"""What both programs share: the command line, the application, and the clock of a run."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from quixstreams import Application

WINDOW_S: Final = 60
TUNED_CONSUMER: Final = {
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 4 << 20,
}


class Job:
    """An application that ends after so many records, and writes how long they took."""

    def __init__(self, description: str | None) -> None:
        """``TOPIC RECORDS RESULT --bootstrap-servers … --group … --partitions N --scratch DIRECTORY``."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("topic")
        parser.add_argument("records", type=int)
        parser.add_argument("result", type=Path)
        parser.add_argument("--bootstrap-servers", required=True)
        parser.add_argument("--group", required=True)
        parser.add_argument("--partitions", type=int, required=True)
        parser.add_argument("--scratch", type=Path, required=True)
        given = parser.parse_args()
        self.topic: str = given.topic
        self.partitions: int = given.partitions
        self._records: int = given.records
        self._result: Path = given.result
        self._seen = 0
        self._began = self._ended = 0.0
        self.app = Application(
            broker_address=given.bootstrap_servers,
            consumer_group=given.group,
            auto_offset_reset="earliest",
            consumer_extra_config=dict(TUNED_CONSUMER),
            state_dir=given.scratch,
            loglevel="WARNING",
        )

    def saw(self, _record: Any) -> None:
        """Count a record; the last one ends the application when it is through."""
        if self._seen == 0:
            self._began = time.monotonic()
        self._seen += 1
        if self._seen == self._records:
            self._ended = time.monotonic()
            self.app.stop()

    def write(self, windows: Mapping[int, int]) -> None:
        """The result: unique users by start of the window in seconds."""
        result = {
            "records": self._seen,
            "seconds": self._ended - self._began,
            "windows": {str(start): count for start, count in sorted(windows.items())},
        }
        self._result.write_text(json.dumps(result))
