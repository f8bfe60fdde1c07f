"""The compose files and what they mount: whole, pinned, confined, accepted by the programs that read it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from deploy.grafana import counts
from streamagg import __version__
from streamagg.settings.resolve import Resolver
from tests.deploy.compose import FILES_PATH, PATH, flags, lay_out, mounts, services, words
from tests.support.dockerfile import stages
from tests.support.prometheus import program, promtool

SERVICES = services()
FILES = services(FILES_PATH)
ALL = {f"{path.stem}: {name}": one for path in (PATH, FILES_PATH) for name, one in services(path).items()}
COUNTING = ("streamagg", "standby")
ON_LOOPBACK = {
    "kafka": 9092,
    "ingest": 8080,
    "serve": 8181,
    "prometheus": 9090,
    "alertmanager": 9093,
    "grafana": 3000,
}


def test_the_example_has_all_that_is_promised() -> None:
    others = {"kafka", "topics", "ingest", "producer", "serve", "prometheus", "alertmanager", "grafana"}
    assert set(SERVICES) == {*COUNTING, *others}
    assert set(FILES) == {"producer", "ingest", "streamagg", "cleaner", "postgres", "grafana"}


@pytest.mark.parametrize("name", ALL)
def test_no_container_can_do_more_than_it_must(name: str) -> None:
    service = ALL[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "container_name"}
    assert all(volume.endswith(":ro") for volume in service.get("volumes", ()) if volume.startswith("."))


def test_ports_of_the_host_are_on_loopback() -> None:
    for given, some in ((SERVICES, [*ON_LOOPBACK]), (FILES, ["ingest", "grafana"])):
        ports = {name: service["ports"] for name, service in given.items() if "ports" in service}
        assert ports == {name: [f"127.0.0.1:{ON_LOOPBACK[name]}:{ON_LOOPBACK[name]}"] for name in some}


def test_what_runs_streamagg_is_the_image_of_this_version() -> None:
    ours = [service for service in ALL.values() if service["image"].startswith("streamagg:")]
    assert len(ours) == 9
    for service in ours:
        assert service["image"] == f"streamagg:{__version__}"
        assert service["read_only"] is True
        assert service["user"] == "10001:10001"


def test_the_image_has_the_directory_of_the_spool_for_its_user() -> None:
    """So that a volume that is mounted there belongs to it."""
    made = [each.text for stage in stages() for each in stage.all("RUN") if "/var/spool" in each.text]
    assert made == ["install -d -o 10001 -g 10001 /var/spool/streamagg"]
    for name in ("ingest", "streamagg", "cleaner"):
        assert FILES[name]["volumes"] == ["spool:/var/spool/streamagg"]


def test_the_standby_is_a_second_leader() -> None:
    one, other = (SERVICES[name] for name in COUNTING)
    assert one == other


def test_all_files_that_are_mounted_exist() -> None:
    mounted = [file for service in ALL.values() for file in mounts(service).values()]
    assert len(mounted) >= 10
    assert [file for file in mounted if not file.is_file()] == []


def test_everything_in_the_folder_is_used() -> None:
    used = {file for service in ALL.values() for file in mounts(service).values()}
    own = {PATH, FILES_PATH, PATH.with_name("Dockerfile"), PATH.with_name("Dockerfile.dockerignore")}
    assert {file for file in PATH.parent.rglob("*") if file.is_file()} - own == {
        file for file in used if file.is_relative_to(PATH.parent)
    }


@pytest.mark.parametrize("given", [SERVICES, FILES], ids=["kafka", "files"])
def test_the_producer_makes_as_much_as_it_sends(given: dict[str, Any]) -> None:
    producer = given["producer"]
    (line,) = producer["command"]
    generate, (python, script, url, rate) = words(line)
    options = dict(zip(generate[2::2], generate[3::2], strict=False))
    assert generate[:2] == ["streamagg", "generate"]
    assert (options["--rate"], options["--start"]) == (rate, "now")
    # Years, at that rate.
    assert int(options["--count"]) / int(rate) > 10 * 365 * 86_400
    assert python == "python"
    assert script in mounts(producer)
    # What is no JSON is refused, and the rest of its body taken.
    assert ("partial=true" in url) is ("--corrupt" in generate)
    listen = given["ingest"]["command"][given["ingest"]["command"].index("--listen") + 1]
    assert urlsplit(url).netloc == f"ingest:{listen.rpartition(':')[2]}"
    assert urlsplit(url).path == "/v1/records"


def test_what_serves_the_page_follows_the_run_and_asks_its_instances() -> None:
    service = SERVICES["serve"]
    verb, *words_of_it = service["command"]
    given = [word.lstrip("-").split("=", 1) for word in words_of_it]
    flags_of = {name: value for name, value in given if name != "run-metrics"}
    run = SERVICES["streamagg"]["command"]
    assert (verb, flags_of["from"]) == ("serve", run[run.index("--output") + 1])
    assert flags_of["listen"] == service["environment"]["STREAMAGG_HTTP"]
    pages = [value for name, value in given if name == "run-metrics"]
    port = SERVICES["streamagg"]["environment"]["STREAMAGG_HTTP"].rpartition(":")[2]
    assert pages == [f"http://{name}:{port}/metrics" for name in COUNTING]
    (volume,) = service["volumes"]
    assert flags_of["store"].startswith(volume.partition(":")[2])
    flags = {"serve_from": flags_of["from"], "run_metrics": pages, "listen": flags_of["listen"]}
    assert Resolver(flags, service["environment"]).serve().run_metrics == tuple(pages)


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    service = SERVICES["prometheus"]
    lay_out(service, tmp_path, {})
    (config,) = (word.partition("=")[2] for word in flags(service, tmp_path) if "config.file" in word)
    shown = promtool("check", "config", config)
    assert re.search(r"SUCCESS: \d+ rules found", shown), shown


def test_prometheus_scrapes_all_where_they_serve() -> None:
    (config,) = (file for inside, file in mounts(SERVICES["prometheus"]).items() if inside.endswith(".yml"))
    (job,) = yaml.safe_load(config.read_text())["scrape_configs"]
    serving = {
        name: one["environment"].get("STREAMAGG_HTTP")
        for name, one in SERVICES.items()
        if "environment" in one
    }
    wanted = [f"{name}:{where.rpartition(':')[2]}" for name, where in serving.items() if where]
    assert sorted(job["static_configs"][0]["targets"]) == sorted(wanted)
    assert len(wanted) == 4


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


def test_grafana_shows_the_counts_first_where_there_is_no_kafka() -> None:
    service = FILES["grafana"]
    home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounts(service)[home] == counts.FILE
    provider = provisioned("dashboards", FILES)["providers"][0]
    assert Path(home).parent == Path(provider["options"]["path"])
    (source,) = provisioned("datasources", FILES)["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == counts.DATASOURCE
    assert source["url"] == "postgres:5432"
    assert source["jsonData"]["database"] == FILES["postgres"]["environment"]["POSTGRES_USER"]
    (init,) = mounts(FILES["postgres"]).values()
    assert f"CREATE ROLE {source['user']} LOGIN;" in init.read_text()


def provisioned(kind: str, given: dict[str, Any] = SERVICES) -> dict[str, Any]:
    """The file that Grafana finds below its folder of a kind."""
    (file,) = (
        file
        for inside, file in mounts(given["grafana"]).items()
        if inside.startswith(f"/etc/grafana/provisioning/{kind}/")
    )
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


@pytest.mark.parametrize("given", [SERVICES, FILES], ids=["kafka", "files"])
def test_nobody_can_log_in_to_grafana(given: dict[str, Any]) -> None:
    environment = given["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
