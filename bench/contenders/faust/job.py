"""What both programs share: the command line, the application, and the clock of a run."""

import argparse
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import mode.loop

# As its documentation asks: before anything else of Faust.
mode.loop.use("uvloop")

import faust  # noqa: E402

WINDOW_S: Final = 60


class Job:
    """An application that ends after so many records, and writes what it counted."""

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
        self._records: int = given.records
        self._result: Path = given.result
        self._seen = 0
        self._began = 0.0
        self.app = faust.App(
            given.group,
            broker=f"kafka://{given.bootstrap_servers}",
            consumer_auto_offset_reset="earliest",
            datadir=given.scratch,
            store="memory://",
            topic_partitions=given.partitions,
            topic_disable_leader=True,
            web_enabled=False,
        )

    def saw(self) -> bool:
        """Count a record; True for the last one."""
        if self._seen == 0:
            self._began = time.monotonic()
        self._seen += 1
        return self._seen == self._records

    def finish(self, windows: Mapping[int, int]) -> None:
        """Write the unique users by start of the window in seconds, and end the worker."""
        result = {
            "records": self._seen,
            "seconds": time.monotonic() - self._began,
            "windows": {str(start): count for start, count in sorted(windows.items())},
        }
        self._result.write_text(json.dumps(result))
        os.kill(os.getpid(), signal.SIGTERM)

    def run(self) -> None:
        """Run the worker until it is finished."""
        faust.Worker(self.app, loglevel="WARNING", quiet=True).execute_from_commandline()
