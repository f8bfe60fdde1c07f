"""The commands of docs/operations.md on a real Kafka, as they stand but for names of topics and groups."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from streamagg.settings.table import SETTINGS
from streamagg.tools.generate import GenerateSettings, records
from tests.conftest import TopicFactory
from tests.support import jars
from tests.support.environment import CALM
from tests.support.instances import READY_S, Instance, wait_until
from tests.support.pipeline import Feed, read_all

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text()
TRIED = re.compile(r"<!-- tried: (?P<name>[a-z]+) -->\n```\n(?P<commands>.*?)```", re.DOTALL)
SERVER = "127.0.0.1:9092"
"""The address in the page."""
ALWAYS = ["streamagg", "run", "--input", "visits", "--output", "visitors"]
"""The daemon of the page, as it is started when nothing is special."""
NAMES = re.compile(r"(visits|visitors(-5m|-history|-moved)?|streamagg(-5m)?|backfill)")
"""Topics and groups of the page."""
HALF = 900
"""Records, one for each second."""


def commands(name: str) -> list[list[str]]:
    """The words of every command in the block of a name."""
    (found,) = (match["commands"] for match in TRIED.finditer(PAGE) if match["name"] == name)
    return [shlex.split(line) for line in found.splitlines()]


def test_every_command_on_topics_and_groups_is_tried() -> None:
    shown = [line for line in PAGE.splitlines() if re.match("streamagg (run|verify) |kafka-", line)]
    tried = [line for match in TRIED.finditer(PAGE) for line in match["commands"].splitlines()]
    assert shown == tried


def test_every_flag_that_is_named_exists() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    own = {row.flag for row in SETTINGS.values()}
    assert named - own == {"--cpus"}  # Docker's.


def test_every_file_that_is_named_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert len(links) >= 8
    assert [link for link in links if not (DOCS / link).exists()] == []


@dataclass(frozen=True, slots=True)
class Site:
    """A terminal beside a Kafka that others use, too: every name gets something of its own behind it."""

    address: str
    own: str
    directory: Path
    kafka: AdminClient

    def named(self, name: str) -> str:
        """A topic or a group of the page."""
        return f"{name}-{self.own}"

    def feed(self, half: int) -> None:
        """A quarter of an hour of event time in all partitions, the first or the second one."""
        made = GenerateSettings(2 * HALF, users=200, rate=1, size_bytes=100)
        rows = [record for chunk in records(made) for record in chunk]
        Feed(self.address, self.named("visits"), 2).send(rows[half * HALF : (half + 1) * HALF])

    def enter(self, name: str) -> None:
        """Type the commands of a block, and wait for each."""
        for words in map(self._renamed, commands(name)):
            if words[0] == "streamagg":
                self._finish([sys.executable, "-m", "streamagg", *words[1:]])
            else:
                self._tool(words)

    @contextmanager
    def started(self, words: list[str]) -> Iterator[Instance]:
        """A daemon; ends it in good order."""
        number = len(list(self.directory.glob("*.log")))
        log = self.directory / f"{number}.log"
        with Instance(self._renamed(words)[2:], log, env=self._environment) as instance:
            yield instance
            instance.signal(signal.SIGTERM)
            assert instance.wait() == 0, instance.log

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """What was published."""
        return [json.loads(message.value() or b"") for message in read_all(self.address, self.named(topic))]

    def wait_for_windows(self, topic: str, number: int) -> None:
        wait_until(lambda: len(self.rows(topic)) >= number, f"{number} windows in {topic}")

    @property
    def _environment(self) -> dict[str, str]:
        return {"STREAMAGG_BOOTSTRAP_SERVERS": self.address, "STREAMAGG_GROUP": self.named("streamagg")}

    def _renamed(self, words: list[str]) -> list[str]:
        return words[:1] + [self.named(word) if NAMES.fullmatch(word) else word for word in words[1:]]

    def _finish(self, arguments: list[str]) -> None:
        environment = {**os.environ, **CALM, **self._environment}
        done = subprocess.run(
            arguments, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr

    def _tool(self, words: list[str]) -> None:
        """Kafka's own tools; those that the jars of the broker lack are done by its admin client."""
        match words:
            case ["kafka-consumer-groups.sh", "--bootstrap-server", server, "--delete", "--group", group]:
                self.kafka.delete_consumer_groups([group])[group].result(READY_S)
            case ["kafka-topics.sh", "--bootstrap-server", server, "--delete", "--topic", topic]:
                self.kafka.delete_topics([topic])[topic].result(READY_S)
                wait_until(lambda: topic not in self.kafka.list_topics(timeout=READY_S).topics, "deleted")
            case ["kafka-configs.sh", "--bootstrap-server", server, *rest]:
                java = [jars.java(), "-cp", f"{jars.fetch()}/*", "kafka.admin.ConfigCommand"]
                self._finish([*java, "--bootstrap-server", self.address, *rest])
            case _:
                pytest.fail(f"what does this do: {words}")
        assert server == SERVER


@pytest.fixture
def site(broker: str, topic: TopicFactory, tmp_path: Path) -> Site:
    """Its topic ``visits`` holds the first quarter of an hour: 15 whole minutes and a part of one."""
    own = topic("visits", partitions=2).removeprefix("visits-")
    found = Site(broker, own, tmp_path, AdminClient({"bootstrap.servers": broker}))
    found.feed(0)
    return found


@pytest.mark.kafka
@pytest.mark.slow
def test_another_granularity_beside_the_old_one(site: Site) -> None:
    with site.started(ALWAYS):
        site.wait_for_windows("visitors", 14)
        with site.started(commands("granularity")[0]):
            site.wait_for_windows("visitors-5m", 2)
        assert {row["granularity"] for row in site.rows("visitors-5m")} == {300}
        assert {row["granularity"] for row in site.rows("visitors")} == {60}
    site.enter("remove")
    assert site.named("visitors") not in site.kafka.list_topics(timeout=READY_S).topics
    groups = site.kafka.list_consumer_groups().result(READY_S).valid or []
    assert [group.group_id for group in groups if site.own in group.group_id] == [site.named("streamagg-5m")]


@pytest.mark.kafka
@pytest.mark.slow
def test_counts_that_go_elsewhere(site: Site) -> None:
    with site.started(ALWAYS):
        site.wait_for_windows("visitors", 14)
    site.feed(1)
    (words,) = commands("destination")
    with site.started(words):
        site.wait_for_windows("visitors-moved", 15)
    with site.started([word for word in words if word != "--change-destination"]) as later:
        later.wait_for("leading")
    before, after = ({row["ts"] for row in site.rows(name)} for name in ("visitors", "visitors-moved"))
    assert max(before) < min(after)


@pytest.mark.kafka
@pytest.mark.slow
def test_starting_anew_with_everything_forgotten(site: Site) -> None:
    with site.started(ALWAYS):
        site.wait_for_windows("visitors", 14)
    before = site.rows("visitors")
    site.enter("remove")
    with site.started(ALWAYS):
        site.wait_for_windows("visitors", len(before))
    assert site.rows("visitors")[: len(before)] == before


@pytest.mark.kafka
@pytest.mark.slow
def test_starting_anew_into_the_same_topic(site: Site) -> None:
    with site.started(ALWAYS):
        site.wait_for_windows("visitors", 14)
    before = site.rows("visitors")
    site.enter("reset")
    twice = site.rows("visitors")
    again = twice[len(before) :]
    assert len(again) >= 13
    assert [row for row in again if row not in before] == []
    site.feed(1)
    with site.started(ALWAYS):
        site.wait_for_windows("visitors", len(twice) + 15)
    later = site.rows("visitors")[len(twice) :]
    assert min(row["ts"] for row in later) > max(row["ts"] for row in again)


@pytest.mark.kafka
@pytest.mark.slow
def test_backfilling_beside_the_live_daemon(site: Site) -> None:
    with site.started(commands("live")[0]) as live:
        live.wait_for("leading")
        site.feed(1)
        site.wait_for_windows("visitors", 14)
        site.enter("backfill")
        whole = {row["ts"]: row for row in site.rows("visitors-history")}
        # Where it was: once more, and nothing comes out twice.
        site.enter("backfill")
        assert len(site.rows("visitors-history")) == len(whole)
        site.enter("verify")
    rows = site.rows("visitors")
    both = [row for row in rows if row["ts"] in whole and not row["partial"]]
    assert len(both) >= 13
    assert [row for row in both if row != whole[row["ts"]]] == []
    assert not any(row["partial"] for row in whole.values())
    assert min(whole) < min(row["ts"] for row in rows)


@pytest.mark.kafka
def test_a_quota_for_the_backfill(site: Site) -> None:
    site.enter("quota")
