"""The oldest Kafka that streamagg is tested with, and the ZooKeeper beside it."""

import subprocess
from pathlib import Path
from typing import Final

from tests.support import jars
from tests.support.broker import HOST, SMALL, Broker, free_port, spawn

_ZOOKEEPER: Final = """\
dataDir={directory}
clientPort={port}
clientPortAddress={host}
admin.enableServer=false
"""
_PROPERTIES: Final = """\
broker.id=1
listeners=PLAINTEXT://{host}:{port}
zookeeper.connect={host}:{zookeeper_port}
log.dirs={data}
auto.create.topics.enable=false
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class OldestBroker(Broker):
    """One node."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, small=True)
        self._zookeeper_port = free_port()
        self._zookeeper: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End both at once."""
        super().kill()
        if self._zookeeper is not None:
            self._zookeeper.kill()
            self._zookeeper.wait()

    def _library(self) -> Path:
        return jars.fetch(jars.OLDEST)

    def _format(self, library: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        places = {"host": HOST, "port": self.port, "zookeeper_port": self._zookeeper_port}
        self._properties.write_text(_PROPERTIES.format(data=self.directory / "data", **places))
        settings = self.directory / "zookeeper.properties"
        settings.write_text(
            _ZOOKEEPER.format(directory=self.directory / "zookeeper", host=HOST, port=self._zookeeper_port)
        )
        main_class = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        command = [*self._java(library, main_class, *SMALL), str(settings)]
        self._zookeeper = spawn(command, self.directory / "zookeeper.log")
