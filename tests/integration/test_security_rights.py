"""The rights that docs/security.md lists are enough, and each one that is missing is named."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from streamagg.errors import AccessDenied
from streamagg.model.settings import KafkaSettings, RunSettings
from tests.integration.conftest import RunFactory
from tests.support.instances import wait_until
from tests.support.leader import found, leading, publish, sink_of
from tests.support.pipeline import QUICK_GROUP, Feed, Run, made_records, read_all
from tests.support.secure_broker import Acl, SecureBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

USER = "counter"
PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    name: AclOperation[name] for name in ("READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS")
}
TIMEOUT_S = 120.0


def documented(verb: str) -> dict[str, tuple[str, str]]:
    """Operation and kind by the name that the table of a verb in the page gives a resource."""
    section = PAGE.split(f"### {verb}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\w+) \| ([\w ]+?) \| ([^|]+?) \|", section, re.MULTILINE)
    return {f"{operation} {which}": (operation, kind) for operation, kind, which in rows if kind in KINDS}


@pytest.fixture
def broker(secure_broker: SecureBroker) -> str:
    """In place of the open broker: its listener for everybody, where topics are made."""
    return secure_broker.address


@dataclass(frozen=True)
class Scene:
    """A run with input, and names for what it works on."""

    run: Run
    dead: str
    late: str
    broker: SecureBroker

    @property
    def names(self) -> Mapping[str, str]:
        """By what the page calls them."""
        run = self.run
        return {
            "input": run.input,
            "output": run.output,
            "dead letters": self.dead,
            "late records": self.late,
            "sketches": f"{run.output}-sketches",
            "periods so far": f"{run.output}-so-far",
            "state": f"{run.output}.{run.group}.state",
            "the topic": run.input,
            "`--group`": run.group,
            "`streamagg-<group>-<input>`": f"streamagg-{run.group}-{run.input}",
        }

    def acls(self, verb: str) -> dict[str, Acl]:
        """What the page says that a verb needs, by operation and name in the page."""
        return {
            row: (KINDS[kind], self.names[row.partition(" ")[2]], OPERATIONS[operation])
            for row, (operation, kind) in documented(verb).items()
        }

    def grant(self, verb: str, *, but: str = "", plus: tuple[Acl, ...] = ()) -> None:
        acls = self.acls(verb)
        assert not but or but in acls
        self.broker.grant(USER, [*(acl for row, acl in acls.items() if row != but), *plus])

    @property
    def flags(self) -> tuple[str, ...]:
        topics = ("--dead-letter", self.dead, "--late-topic", self.late)
        return (*topics, "--bootstrap-servers", self.broker.listener("PASSWORDS"))

    def command(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streamagg", verb, *arguments]
        command += ["--bootstrap-servers", self.broker.listener("PASSWORDS")]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    def verify(self) -> subprocess.CompletedProcess[str]:
        run, window = self.run, self.run.window
        return self.command(
            "verify",
            *("--input", run.input, "--output", run.output, "--granularity", f"{window.granularity_ms}ms"),
            *("--max-lag", f"{window.max_lag_ms}ms", "--max-jump", f"{window.max_jump_ms}ms"),
        )


@pytest.fixture
def scene(secure_broker: SecureBroker, new_run: RunFactory, topic: Callable[..., str]) -> Iterator[Scene]:
    plain = new_run(2)
    run = replace(plain, group=plain.output)
    Feed(run.bootstrap, run.input, 2).send(made_records(2_000, corrupt=0.02))
    with secure_broker.login(USER), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMAGG_GROUP", run.group)
        yield Scene(run, topic("dead"), topic("late"), secure_broker)


def test_the_listed_rights_are_enough_for_run_and_verify(scene: Scene) -> None:
    scene.grant("run")
    stats = scene.run.until_end(*scene.flags, "--from", "earliest")
    assert stats["rejected"]
    assert len(list(read_all(scene.run.bootstrap, scene.dead))) == sum(stats["rejected"].values())
    assert len(list(read_all(scene.run.bootstrap, scene.late))) == stats["late"] > 0
    scene.run.check()
    scene.grant("verify")
    done = scene.verify()
    assert done.returncode == 0, done.stderr


def test_they_are_enough_for_a_standby_that_takes_over(scene: Scene) -> None:
    scene.grant("run")
    flags = (*scene.flags, "--idle-timeout", "1s", *QUICK_GROUP)
    with scene.run.start(*flags) as leader:
        wait_until(lambda: bool(scene.run.published()), "windows of the leader", TIMEOUT_S)
        with scene.run.start(*flags) as standby:
            standby.wait_for("assigned [", timeout_s=TIMEOUT_S)
            leader.kill()
            standby.wait_for("leading:", timeout_s=TIMEOUT_S)
            wait_until(lambda: not scene.run.verify().differences, "all windows", TIMEOUT_S)
            standby.signal(signal.SIGTERM)
            assert standby.wait() == 0
    scene.run.check()


def test_they_are_enough_at_least_once_without_the_one_for_transactions(scene: Scene) -> None:
    scene.grant("run", but="WRITE `streamagg-<group>-<input>`")
    scene.run.until_end(*scene.flags, "--delivery", "at-least-once")
    scene.run.check(allow_repeats=True)


def test_topics_that_are_absent_are_made_with_the_right_to(scene: Scene) -> None:
    name = f"{scene.run.output}-absent"
    absent = replace(scene, run=scene.run.on(name), dead=f"{name}-dead", late=f"{name}-late")
    absent = replace(absent, run=replace(absent.run, group=scene.run.group))
    create = (KINDS["topic"], absent.run.output, OPERATIONS["CREATE"])
    absent.grant("run")
    refused(absent, "CREATE on the topic", absent.run.output)
    others = tuple((KINDS["topic"], other, OPERATIONS["CREATE"]) for other in (absent.dead, absent.late))
    absent.grant("run", plus=(create, *others))
    absent.run.until_end(*absent.flags)
    absent.run.check()


def test_those_of_replay_are_enough(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"ts": 1, "uid": "u"}) + "\n")
    scene.grant("replay")
    done = scene.command("replay", str(path), "--topic", scene.run.input)
    assert done.returncode == 0, done.stderr
    described = (KINDS["topic"], scene.run.input, OPERATIONS["DESCRIBE"])
    for plus, missing in (((), "DESCRIBE"), ((described,), "WRITE")):
        scene.grant("replay", but="WRITE the topic", plus=plus)
        done = scene.command("replay", str(path), "--topic", scene.run.input)
        assert done.returncode == 2, done.stderr
        assert f"needs the right {missing} on the topic {scene.run.input}" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "row",
    [
        "READ input",
        "WRITE output",
        "WRITE dead letters",
        "WRITE late records",
        "READ `--group`",
        "WRITE `streamagg-<group>-<input>`",
    ],
)
@pytest.mark.parametrize("described", [True, False], ids=["described", "unseen"])
def test_each_one_that_is_missing_is_named(scene: Scene, row: str, described: bool) -> None:
    kind, name, _ = scene.acls("run")[row]
    operation = row.partition(" ")[0]
    plus = ((kind, name, OPERATIONS["DESCRIBE"]),) if described else ()
    scene.grant("run", but=row, plus=plus)
    # What may not even be seen is missed when it is looked up.
    seen = described or kind != KINDS["topic"]
    word = next(word for word, of in KINDS.items() if of == kind)
    refused(scene, f"{operation if seen else 'DESCRIBE'} on the {word}", name)


def test_those_of_advise_are_enough_and_its_topic_is_named(scene: Scene) -> None:
    scene.grant("advise")
    done = scene.command("advise", "--input", scene.run.input)
    assert (done.returncode, "2,000 records" in done.stdout) == (0, True), done.stderr
    assert "authorization failed" not in done.stderr
    described = (KINDS["topic"], scene.run.input, OPERATIONS["DESCRIBE"])
    for plus, missing in (((), "DESCRIBE"), ((described,), "READ")):
        scene.grant("advise", but="READ input", plus=plus)
        done = scene.command("advise", "--input", scene.run.input)
        assert done.returncode == 2, done.stderr
        assert f"needs the right {missing} on the topic {scene.run.input}" in done.stderr


@pytest.mark.parametrize("row", ["READ input", "READ output", "DESCRIBE `--group`"])
def test_each_one_that_verify_misses_is_named(scene: Scene, row: str) -> None:
    kind, name, _ = scene.acls("verify")[row]
    operation = row.partition(" ")[0]
    plus = ((kind, name, OPERATIONS["DESCRIBE"]),) if operation == "READ" else ()
    publish_something(scene)
    scene.grant("verify", but=row, plus=plus)
    done = scene.verify()
    assert done.returncode == 2, done.stderr
    assert re.search(rf"needs the right {operation} on the \w+ {re.escape(name)}", done.stderr), done.stderr


@pytest.mark.parametrize("row", ["WRITE sketches", "WRITE periods so far"])
@pytest.mark.parametrize("described", [True, False], ids=["described", "unseen"])
def test_each_one_of_topics_beside_the_output_that_is_missing_is_named(
    scene: Scene, row: str, described: bool
) -> None:
    beside = make_topics_beside(scene)
    kind, name, _ = scene.acls("run")[row]
    scene.grant("run", but=row, plus=((kind, name, OPERATIONS["DESCRIBE"]),) if described else ())
    refused(scene, f"{'WRITE' if described else 'DESCRIBE'} on the topic", name, *beside)


def test_they_are_enough_for_topics_beside_the_output(scene: Scene) -> None:
    beside = make_topics_beside(scene)
    scene.grant("run")
    scene.run.until_end(*scene.flags, *beside)
    for name in ("sketches", "periods so far"):
        assert any(read_all(scene.run.bootstrap, scene.names[name]))


def make_topics_beside(scene: Scene) -> tuple[str, ...]:
    """Topics of sketches, of periods so far and of state; returns the flags that name them."""
    run, names = scene.run, scene.names
    sketches, running = names["sketches"], names["periods so far"]
    settings = RunSettings(run.input, run.output, kafka=KafkaSettings(run.bootstrap))
    sink_of(replace(settings, sketches=sketches, running=running, state_topic=names["state"])).make()
    return ("--sketches", sketches, "--running", running, "--calendar", "1m")


@pytest.mark.parametrize("row", [None, "READ state", "WRITE state", "DESCRIBE_CONFIGS state"])
def test_each_one_of_the_state_topic_that_is_missing_is_named(scene: Scene, row: str | None) -> None:
    run, name = scene.run, scene.names["state"]
    client = {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(scene.broker.authority_file),
        "sasl.mechanism": "PLAIN",
        "sasl.username": USER,
        "sasl.password": scene.broker.users[USER],
    }
    kafka = KafkaSettings(scene.broker.listener("PASSWORDS"), client, run.group)
    settings = RunSettings(run.input, run.output, kafka=kafka, state_topic=name)
    sink_of(replace(settings, kafka=KafkaSettings(run.bootstrap))).make()
    scene.grant("run", but=row or "")
    missing = "nothing" if row is None else rf"{row.split()[0]} on the topic {re.escape(name)}"
    told = nullcontext() if row is None else pytest.raises(AccessDenied, match=missing)
    with told:
        sink_of(settings).require(lambda: None)
        with leading(settings) as leader:
            publish(leader, ((b"key", b"value"),))
            assert found(leader) == [(b"key", b"value")]


def publish_something(scene: Scene) -> None:
    Feed(scene.run.bootstrap, scene.run.output).send([b"{}"])


def refused(scene: Scene, right: str, name: str, *more: str) -> None:
    code, text = scene.run.refused(*scene.flags, *more, timeout_s=TIMEOUT_S)
    # A broker does not say which topic of a transaction may not be written to: then all are named.
    named = re.search(rf"needs the right (WRITE on the topic \S+ and )*{right} {re.escape(name)}", text)
    assert (code, named is not None) == (2, True), text


def test_the_page_has_rows_for_each_verb() -> None:
    assert len(documented("run")) == 12
    assert len(documented("advise")) == 2
    assert len(documented("verify")) == 3
    assert len(documented("replay")) == 1
