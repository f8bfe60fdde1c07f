"""A real Kafka broker (KRaft, one node) on this machine, for tests and for ``make broker``.

``python -m tests.support.broker start|stop|status [--port P]``
"""

import argparse
import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support import jars

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 19092
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
LOG_TAIL_CHARS: Final = 2_000

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
# Records keep their place however old they are: results are recounted from the log.
log.retention.ms=-1
log.segment.delete.delay.ms=1000
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
# Look for abandoned transactions every second, so that their time-out is what one waits for.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# A killed broker is let in again when its old session has ended.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
# Lets tests of a dying leader use short sessions.
group.min.session.timeout.ms=1000
# With the consumer protocol the broker says how long sessions are: short, as in QUICK_GROUP.
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=3000
group.consumer.min.heartbeat.interval.ms=200
group.consumer.heartbeat.interval.ms=500
"""


LARGE: Final = ("-Xmx1g",)
SMALL: Final = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Compiled quickly instead of well: most of the time that tests take goes into brokers that start."""


class BrokerFailed(Exception):
    """The broker did not start, or its port belongs to something else; the text says what to do."""


class Broker:
    """One broker with its data, log and pid file in a directory.

    Another ``Broker`` on the same directory, in this process or another, is the same broker.
    """

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        small: bool = False,
        properties: Mapping[str, str] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        """``port``: None takes a free one. ``small``: for tests, with less memory, and up sooner.

        ``properties`` take the place of the usual ones; ``{port}`` and ``{controller_port}`` in them are
        filled in. Brokers of one cluster share a ``cluster_id``, see ``new_cluster_id``.
        """
        self.directory = directory
        self.port = port or free_port()
        self._options = SMALL if small else LARGE
        self._extra = dict(properties or {})
        self._cluster_id = cluster_id or new_cluster_id()
        self._pid_file = directory / "pid"
        self._properties = directory / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What clients call the bootstrap servers."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker wrote to standard output and error."""
        return self.directory / "broker.log"

    def pid(self) -> int | None:
        """Process id of the running broker, or None."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self._properties) in _command_line(pid) else None

    def start(self, *, detached: bool = False) -> Self:
        """Start it unless it runs, and wait until it answers.

        ``detached``: it outlives this process and its terminal; otherwise it dies with this process.
        Raises ``BrokerMissing`` and ``BrokerFailed``.
        """
        self.launch(detached=detached)
        self.wait_until_ready()
        return self

    def start_again(self) -> None:
        """Start it while clients look for it: one that connects to itself may hold its port for a moment."""
        for _ in range(20):
            with suppress(BrokerFailed):
                self.start()
                return
            time.sleep(0.5)
        self.start()

    def launch(self, *, detached: bool = False) -> None:
        """The first half of ``start``: a broker of a cluster answers once the others run."""
        if self.pid() is None:
            self._refuse_taken_port()
            library = self._library()
            self._format(library)
            self._launch(library, detached)

    def wait_until_ready(self) -> None:
        """The second half of ``start``."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _listens(self.port) or not _answers(self.address):
            if self.pid() is None:
                raise BrokerFailed(f"The broker ended while starting: {self._log_tail()}")
            if time.monotonic() > deadline:
                raise BrokerFailed(f"No answer from the broker in {START_TIMEOUT_S:.0f} s, see {self.log}.")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in good order; by force if that takes too long."""
        if not self._signal(signal.SIGTERM):
            return
        if not self._wait_until_gone(STOP_TIMEOUT_S):
            self.kill()
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._signal(signal.SIGKILL):
            self._wait_until_gone(STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Make it hang: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a ``pause``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> bool:
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, number)
        return True

    def _library(self) -> Path:
        return jars.fetch()

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)) == 0:
                raise BrokerFailed(
                    f"Port {self.port} is taken by another program: set BROKER_PORT to a free one."
                )

    def _format(self, library: Path) -> None:
        """Write the settings and, on the first start, the empty storage."""
        self.directory.mkdir(parents=True, exist_ok=True)
        data = self.directory / "data"
        # Of a property that is there twice, the last one counts.
        lines = PROPERTIES + "".join(f"{name}={value}\n" for name, value in self._extra.items())
        self._properties.write_text(
            lines.format(host=HOST, port=self.port, controller_port=free_port(), data=data)
        )
        if (data / "meta.properties").exists():
            return
        command = self._java(library, "kafka.tools.StorageTool", *SMALL)
        command += ["format", "-t", self._cluster_id, "-c", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise BrokerFailed(f"The storage of the broker could not be formatted: {done.stderr.strip()}")

    def _launch(self, library: Path, detached: bool) -> None:
        command = [*self._java(library, "kafka.Kafka", *self._options), str(self._properties)]
        self._process = spawn(command, self.log, detached=detached)
        self._pid_file.write_text(str(self._process.pid))

    def _java(self, library: Path, main_class: str, *options: str) -> list[str]:
        return [
            jars.java(),
            *options,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            f"{library}/*",
            main_class,
        ]

    def _wait_until_gone(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL_CHARS:] or f"see {self.log}"


def spawn(command: list[str], log: Path, *, detached: bool = False) -> subprocess.Popen[bytes]:
    """A process that dies with this one, unless it is ``detached``."""
    if not detached and shutil.which("setpriv"):
        # A session that is killed runs no finalizer: let the kernel end it then.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _answers(address: str) -> bool:
    """Metadata arrives and names a broker."""
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def new_cluster_id() -> str:
    """An id for the storage of a cluster."""
    # A leading dash would be read as an option.
    return "s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _command_line(pid: int) -> str:
    """Arguments of a process; empty when it is gone or waits to be reaped."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.broker", description=__doc__)
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument("--port", type=int, default=int(os.environ.get("BROKER_PORT", DEFAULT_PORT)))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Start, stop or show the broker of ``make broker``; returns the exit code."""
    options = _parse(arguments)
    broker = Broker(jars.home() / f"broker-{options.port}", options.port)
    if options.action == "start":
        began = time.monotonic()
        try:
            broker.start(detached=True)
        except (jars.BrokerMissing, BrokerFailed) as error:
            print(error, file=sys.stderr)
            return 1
        print(f"Kafka answers at {broker.address} (pid {broker.pid()}, {time.monotonic() - began:.1f} s)")
    elif options.action == "stop":
        broker.stop()
        print(f"No broker at {broker.address}")
    else:
        pid = broker.pid()
        print(f"Kafka runs at {broker.address} (pid {pid})" if pid else f"No broker at {broker.address}")
        return 0 if pid else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
