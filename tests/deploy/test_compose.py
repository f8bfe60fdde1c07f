"""docker/compose.yaml and what it mounts: whole, pinned, confined, accepted by the programs that read it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamagg import __version__
from tests.deploy.compose import PATH, flags, lay_out, mounts, services, words
from tests.support.prometheus import program, promtool

SERVICES = services()
COUNTING = ("streamagg", "standby")
ON_LOOPBACK = {"kafka": 9092, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}


def test_the_example_has_all_that_is_promised() -> None:
    others = {"kafka", "topics", "producer", "prometheus", "alertmanager", "grafana"}
    assert set(SERVICES) == {*COUNTING, *others}


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "container_name"}
    assert all(volume.endswith(":ro") for volume in service.get("volumes", ()) if volume.startswith("."))


def test_ports_of_the_host_are_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {name: [f"127.0.0.1:{port}:{port}"] for name, port in ON_LOOPBACK.items()}


@pytest.mark.parametrize("name", ["streamagg", "standby", "producer"])
def test_what_runs_streamagg_is_the_image_of_this_version(name: str) -> None:
    assert SERVICES[name]["image"] == f"streamagg:{__version__}"
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["user"] == "10001:10001"


def test_the_standby_is_a_second_leader() -> None:
    one, other = (SERVICES[name] for name in COUNTING)
    assert one == other


def test_all_files_that_are_mounted_exist() -> None:
    mounted = [file for service in SERVICES.values() for file in mounts(service).values()]
    assert len(mounted) >= 6
    assert [file for file in mounted if not file.is_file()] == []


def test_everything_in_the_folder_is_used() -> None:
    used = {file for service in SERVICES.values() for file in mounts(service).values()}
    own = {PATH, PATH.with_name("Dockerfile"), PATH.with_name("Dockerfile.dockerignore")}
    assert {file for file in PATH.parent.rglob("*") if file.is_file()} - own == {
        file for file in used if file.is_relative_to(PATH.parent)
    }


def test_the_producer_makes_as_much_as_it_sends() -> None:
    (line,) = SERVICES["producer"]["command"]
    generate, replay = words(line)
    options = [dict(zip(each[2::2], each[3::2], strict=False)) for each in (generate, replay[1:])]
    assert generate[:2] == ["streamagg", "generate"]
    assert replay[:3] == ["streamagg", "replay", "-"]
    assert options[0]["--rate"] == options[1]["--rate"]
    assert options[0]["--start"] == "now"
    # Some of the broken ones are no text.
    assert "--corrupt" in generate
    assert "--raw" in replay
    # Years, at that rate.
    assert int(options[0]["--count"]) / int(options[0]["--rate"]) > 10 * 365 * 86_400


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    service = SERVICES["prometheus"]
    lay_out(service, tmp_path, {})
    (config,) = (word.partition("=")[2] for word in flags(service, tmp_path) if "config.file" in word)
    shown = promtool("check", "config", config)
    assert re.search(r"SUCCESS: \d+ rules found", shown), shown


def test_prometheus_scrapes_both_instances_where_they_serve() -> None:
    (config,) = (file for inside, file in mounts(SERVICES["prometheus"]).items() if inside.endswith(".yml"))
    (job,) = yaml.safe_load(config.read_text())["scrape_configs"]
    served = {SERVICES[name]["environment"]["STREAMAGG_HTTP"].rpartition(":")[2] for name in COUNTING}
    assert {target.rpartition(":")[2] for target in job["static_configs"][0]["targets"]} == served
    assert [target.partition(":")[0] for target in job["static_configs"][0]["targets"]] == list(COUNTING)


def test_alertmanager_accepts_its_configuration() -> None:
    (config,) = mounts(SERVICES["alertmanager"]).values()
    subprocess.run([program("amtool"), "check-config", str(config)], check=True, capture_output=True)


def test_grafana_shows_the_dashboard_first() -> None:
    service = SERVICES["grafana"]
    inside = {path: file.name for path, file in mounts(service).items()}
    home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert inside[home] == "dashboard.json"
    provider = provisioned("dashboards")["providers"][0]
    assert Path(home).parent == Path(provider["options"]["path"])
    source = provisioned("datasources")["datasources"][0]
    assert source["isDefault"]
    assert source["url"] == "http://prometheus:9090"
    dashboard = json.loads(mounts(service)[home].read_text())
    wanted = {
        variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"
    }
    assert wanted == {source["type"]}


def provisioned(kind: str) -> dict[str, Any]:
    """The file that Grafana finds below its folder of a kind."""
    (file,) = (
        file
        for inside, file in mounts(SERVICES["grafana"]).items()
        if inside.startswith(f"/etc/grafana/provisioning/{kind}/")
    )
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def test_nobody_can_log_in_to_grafana() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
