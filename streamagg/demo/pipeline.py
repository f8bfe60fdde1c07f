"""The run that the demo looks at: ``streamagg run`` as a process of its own, with its metrics."""

import http.client
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from time import monotonic
from typing import IO, Final, Self

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from streamagg.demo.feed import TOP
from streamagg.engine.reporting.stats import RunStats
from streamagg.errors import KafkaFailed

UNMARSHALLERS: Final = 2
"""Two of each, to show that work is shared."""
AGGREGATORS: Final = 2
"""See ``UNMARSHALLERS``."""
STOP_TIMEOUT_S: Final = 15.0
"""A run that is asked to end has published and left its group after some seconds."""
HTTP_TIMEOUT_S: Final = 2.0
"""The run is on the same machine; a picture with old counters is better than none."""
SCRAPE_EVERY_S: Final = 0.5
"""The run takes a snapshot each second; twice as often, none is missed."""
LOG_LINES: Final = 5
"""Last lines of the log that are shown when the run fails: the error, and what led to it."""
_URL: Final = re.compile(r"metrics at http://(127\.0\.0\.1:\d+)/metrics")


@dataclass(frozen=True, slots=True)
class Counters:
    """What the metrics of the run say."""

    at_s: float
    """When they were asked for, on the monotonic clock."""
    records: int
    late: int
    rejected: int
    open_windows: int


class RunningPipeline:
    """Coordinator, unmarshallers and aggregators; ended with the context."""

    def __init__(self, bootstrap: str, topic: str, output: str, sketches: str) -> None:
        self._command = _command(bootstrap, topic, output, sketches)
        # Lives as long as the process, and is closed with the context.
        self._log: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._address: str | None = None
        self._counters: Counters | None = None
        self._scraped_s = 0.0

    def ready(self) -> bool:
        """The run leads its group and reads; raises KafkaFailed if it has ended."""
        self.check()
        if self._address is None:
            found = _URL.search(self._log_text())
            self._address = found[1] if found else None
        return self._address is not None and self._get("/readyz")[0] == http.HTTPStatus.OK

    def counters(self) -> Counters | None:
        """What the run counts, asked for twice a second; None before the first answer."""
        now_s = monotonic()
        if now_s - self._scraped_s >= SCRAPE_EVERY_S:
            self._scraped_s = now_s
            status, text = self._get("/metrics")
            if status == http.HTTPStatus.OK:
                self._counters = _counters(text, now_s)
        return self._counters

    def wait(self, seconds: float) -> None:
        """Let time pass, but not after the end of the run."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def check(self) -> None:
        """Raises KafkaFailed if the run has ended by itself."""
        if (code := self._process.poll()) is not None:
            raise KafkaFailed(f"The run ended with exit code {code}:\n{self._last_words()}")

    def stop(self) -> RunStats:
        """Stop the run as a user would, and return its final counters; raises KafkaFailed."""
        self._process.terminate()
        try:
            out, _ = self._process.communicate(timeout=STOP_TIMEOUT_S)
            return msgspec.json.decode(out, type=RunStats)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise KafkaFailed(f"The run did not end well:\n{self._last_words()}") from error

    def __enter__(self) -> Self:
        # The user's variables are for the user's runs.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("STREAMAGG_")}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        finally:
            # Its workers end with it, however it ends.
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._log.close()

    def _get(self, path: str) -> tuple[int, str]:
        """Status and text; status 0 if there is no answer."""
        connection = http.client.HTTPConnection(self._address or "", timeout=HTTP_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def _log_text(self) -> str:
        # The run writes at the place where this descriptor stands, so it must not be moved.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def _last_words(self) -> str:
        return "\n".join(self._log_text().splitlines()[-LOG_LINES:])


def _command(bootstrap: str, topic: str, output: str, sketches: str) -> list[str]:
    flags = {
        "--bootstrap-servers": bootstrap,
        "--input": topic,
        "--output": output,
        "--sketches": sketches,
        "--group": "streamagg-demo",
        "--unmarshallers": str(UNMARSHALLERS),
        "--aggregators": str(AGGREGATORS),
        "--idle-timeout": "5s",
        "--group-by": "country",
        "--measure": "bytes=sum(bytes)",
        "--top": str(TOP),
        "--http": "127.0.0.1:0",
        "--log-format": "human",
    }
    words = [word for pair in flags.items() for word in pair]
    return [sys.executable, "-m", "streamagg", "run", *words, "--json"]


def _counters(text: str, at_s: float) -> Counters:
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return Counters(
        at_s=at_s,
        records=int(sums.get("streamagg_records_consumed_total", 0)),
        late=int(sums.get("streamagg_records_late_total", 0)),
        rejected=int(sums.get("streamagg_records_rejected_total", 0)),
        open_windows=int(sums.get("streamagg_windows_open", 0)),
    )
