"""docker/compose.yaml without containers: its commands, variables and files as they stand, as processes."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamagg.kafka.admin import ensure_topic
from streamagg.model.settings import KafkaSettings
from tests.deploy.compose import flags, kafka_properties, lay_out, mounts, placed, services, shell
from tests.deploy.compose import started as started_here
from tests.support import broker as broker_module
from tests.support import jars
from tests.support.broker import HOST, Broker, free_port
from tests.support.environment import CI
from tests.support.instances import Instance, wait_until
from tests.support.prometheus import Prometheus, fetch, program, started

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SERVICES = services()
COUNTING = ("streamagg", "standby")
PATIENCE_S = 120.0
"""Two windows of ten seconds, and a machine that is busy with other tests."""


@pytest.fixture
def kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Kafka with the settings of the example, other ports and directories, and nothing besides."""
    environment = SERVICES["kafka"]["environment"]
    inside = free_port()
    here = {
        "listeners": f"HOST://{HOST}:{{port}},INSIDE://{HOST}:{inside},CONTROLLER://{HOST}:{{controller_port}}",
        "advertised.listeners": f"HOST://{HOST}:{{port}},INSIDE://{HOST}:{inside}",
        "controller.quorum.voters": f"1@{HOST}:{{controller_port}}",
        "log.dirs": "{data}",
    }
    settings = kafka_properties(environment)
    assert here.keys() <= settings.keys()
    text = "".join(f"{name}={value}\n" for name, value in {**settings, **here}.items())
    monkeypatch.setattr(broker_module, "PROPERTIES", text)
    own = Broker(tmp_path / "kafka", small=True, cluster_id=environment["CLUSTER_ID"])
    try:
        yield own.start()
    except jars.BrokerMissing as error:
        if CI:
            raise
        pytest.skip(f"no real Kafka: {error}")
    finally:
        own.kill()


def test_the_example_counts_and_nothing_fires(kafka: Broker, tmp_path: Path) -> None:
    here = {f"{name}:9464": f"{HOST}:{free_port()}" for name in (*COUNTING, "ingest")}
    here |= {name: f"{HOST}:{free_port()}" for name in ("alertmanager:9093", "ingest:8080", "serve:8181")}
    make_topic(kafka)
    with ExitStack() as running:
        ingest = placed(SERVICES["ingest"]["command"], {"0.0.0.0:8080": here["ingest:8080"]}, {})
        kept = {"/var/spool/streamagg": tmp_path / "kept"}
        serve = placed(SERVICES["serve"]["command"], here | {"0.0.0.0:8181": here["serve:8181"]}, kept)
        for name, command in (
            ("ingest", ["streamagg", *ingest]),
            ("serve", ["streamagg", *serve]),
            ("producer", placed(shell(SERVICES["producer"]), here, mounts(SERVICES["producer"]))),
        ):
            given = variables(name, kafka, here)
            running.enter_context(started_here(command, given, tmp_path / f"{name}.log"))
        for name in COUNTING:
            log = tmp_path / f"{name}.log"
            arguments = SERVICES[name]["command"][1:]
            running.enter_context(Instance(arguments, log, env=variables(name, kafka, here)))
        running.enter_context(serving("alertmanager", here["alertmanager:9093"], tmp_path, here))
        address = f"{HOST}:{free_port()}"
        running.enter_context(serving("prometheus", address, tmp_path, here))
        server = Prometheus(f"http://{address}")
        for expression in (
            'sum(up{job="streamagg"}) == 4',
            "sum(streamagg_ingest_records_total) > 0",
            # What is no JSON.
            "sum(streamagg_ingest_rejected_lines_total) > 0",
            "sum(streamagg_leader) == 1",
            'sum(streamagg_windows_published_total{kind="final"}) >= 2',
            "sum(rate(streamagg_records_consumed_total[30s])) > 0",
            # The records are of the present: a window is out some seconds after its end.
            "time() - max(streamagg_watermark_timestamp_seconds) < 60",
            # The page has them, too.
            "time() - max(streamagg_serve_freshest_window_timestamp_seconds) < 60",
        ):
            wait_until(lambda shown=expression: bool(server.query(shown)), expression, PATIENCE_S)
        assert {rule["health"] for rule in server.rules()} == {"ok"}
        assert server.query('ALERTS{alertstate="firing"}') == []
        told = lambda: json.loads(fetch(f"http://{here['serve:8181']}/v1/status"))["run"]  # noqa: E731
        wait_until(lambda: told() is not None and told()["consumed"] > 0, "what the run says", PATIENCE_S)
        known = json.loads(fetch(f"{server.url}/api/v1/alertmanagers"))["data"]["activeAlertmanagers"]
        assert [each["url"].split("/")[2] for each in known] == [here["alertmanager:9093"]]


def make_topic(kafka: Broker) -> None:
    """What the service ``topics`` does with Kafka's own tool."""
    command = SERVICES["topics"]["command"]
    pairs = [word.lstrip("-").partition("=") for word in command[1:] if "=" in word]
    given: dict[str, Any] = {name: value for name, _, value in pairs if name != "config"}
    assert given.keys() == {"bootstrap-server", "topic", "partitions"}
    config = dict(value.split("=") for name, _, value in pairs if name == "config")
    ensure_topic(
        KafkaSettings(kafka.address), given["topic"], partitions=int(given["partitions"]), config=config
    )


def variables(name: str, kafka: Broker, here: dict[str, str]) -> dict[str, str]:
    """The environment of a service, with the addresses of this machine."""
    found: dict[str, str] = dict(SERVICES[name].get("environment", {}))
    found["STREAMAGG_BOOTSTRAP_SERVERS"] = kafka.address
    if "STREAMAGG_HTTP" in found:
        found["STREAMAGG_HTTP"] = here[f"{name}:{found['STREAMAGG_HTTP'].rpartition(':')[2]}"]
    return found


@contextmanager
def serving(name: str, address: str, directory: Path, here: dict[str, str]) -> Iterator[None]:
    """Prometheus or Alertmanager with the command and the files of its service."""
    root = directory / name
    lay_out(SERVICES[name], root, here)
    command = [program(name, f"prometheus-{name}"), *flags(SERVICES[name], root)]
    ready = f"http://{address}/-/ready"
    with started([*command, f"--web.listen-address={address}"], directory / f"{name}.log", ready):
        yield
