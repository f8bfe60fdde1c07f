"""Three brokers on this machine that replicate everything, so that one of them may be lost."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.broker import HOST, Broker, free_port, new_cluster_id

NODES: Final = 3
READY_S: Final = 90.0
_STATE_PARTITIONS: Final = 4
"""Of the topics of offsets and of transactions, as the broker's properties say."""

Role = Literal["group", "transaction"]
_STATE: Final[dict[Role, str]] = {"group": "__consumer_offsets", "transaction": "__transaction_state"}


class Cluster:
    """Nodes 1 to 3, each a broker and a controller; a context manager."""

    def __init__(self, directory: Path) -> None:
        cluster_id = new_cluster_id()
        controllers = {node: free_port() for node in range(1, NODES + 1)}
        voters = ",".join(f"{node}@{HOST}:{port}" for node, port in controllers.items())
        self.nodes = {
            node: Broker(
                directory / str(node),
                small=True,
                properties=_properties(node, port, voters),
                cluster_id=cluster_id,
            )
            for node, port in controllers.items()
        }

    def __enter__(self) -> Self:
        for broker in self.nodes.values():
            broker.launch()
        for broker in self.nodes.values():
            broker.wait_until_ready()
        self._wait(lambda: len(self._admin().list_topics(timeout=5).brokers) == NODES, "all nodes")
        return self

    def __exit__(self, *_: object) -> None:
        for broker in self.nodes.values():
            broker.kill()

    @property
    def address(self) -> str:
        """What clients call the bootstrap servers."""
        return ",".join(broker.address for broker in self.nodes.values())

    def coordinator(self, role: Role, name: str) -> int | None:
        """The node that coordinates a consumer group or a transactional id; None while there is none."""
        topic = _STATE[role]
        found = self._admin().list_topics(topic, timeout=10).topics[topic].partitions
        place = found.get(_java_hash(name) % _STATE_PARTITIONS)
        return place.leader if place is not None and place.leader in self.nodes else None

    def restart(self, node: int) -> None:
        """Bring a node that was lost back, and wait until every replica is in step again."""
        broker = self.nodes[node]
        broker.launch()
        broker.wait_until_ready()
        self.wait_in_sync()

    def wait_in_sync(self) -> None:
        """Wait until every partition of every topic has all its replicas in step."""
        self._wait(self._in_sync, "replicas in step")

    def _in_sync(self) -> bool:
        topics = self._admin().list_topics(timeout=5).topics.values()
        return all(len(p.isrs) == len(p.replicas) for topic in topics for p in topic.partitions.values())

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                if condition():
                    return
            except KafkaException:
                # Nobody answers while leaders are elected.
                pass
            assert time.monotonic() < deadline, f"{what}: not within {READY_S:g} s"
            time.sleep(0.1)


def _properties(node: int, controller_port: int, voters: str) -> dict[str, str]:
    return {
        "node.id": str(node),
        "listeners": f"PLAINTEXT://{HOST}:{{port}},CONTROLLER://{HOST}:{controller_port}",
        "controller.quorum.voters": voters,
        "default.replication.factor": str(NODES),
        "min.insync.replicas": "2",
        "offsets.topic.replication.factor": str(NODES),
        "transaction.state.log.replication.factor": str(NODES),
        "transaction.state.log.min.isr": "2",
    }


def _java_hash(text: str) -> int:
    """Java's hash of an ASCII string without its sign, from which a broker chooses the coordinator."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
