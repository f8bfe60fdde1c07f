"""deploy/kubernetes: what the schemas do not say. `make check-deploy` holds the manifests against those."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.render import SIZED
from bench.results import read_results
from bench.scratch import RESULTS
from bench.topics import LOADS
from streamagg import __version__
from streamagg.settings.resolve import Resolver

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


KUSTOMIZATION = read(BASE / "kustomization.yaml")
DEPLOYMENT = read(BASE / "deployment.yaml")["spec"]
POD = DEPLOYMENT["template"]["spec"]
(CONTAINER,) = POD["containers"]
PATCH = read(KUBERNETES / "with-password" / "deployment.yaml")["spec"]["template"]["spec"]


def in_bytes(quantity: str) -> int:
    """Of a quantity of memory."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def test_every_manifest_is_named_and_there() -> None:
    files = {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files
    for generator in KUSTOMIZATION["configMapGenerator"]:
        assert [name for name in generator["files"] if not (BASE / name).is_file()] == []


def test_what_is_referred_to_has_a_name_that_is_there() -> None:
    generated = {generator["name"] for generator in KUSTOMIZATION["configMapGenerator"]}
    assert {volume["configMap"]["name"] for volume in POD["volumes"]} == generated
    for pod in (POD, PATCH):
        mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    (image,) = KUSTOMIZATION["images"]
    assert (image["name"], image["newTag"]) == (CONTAINER["image"], __version__)


def test_one_label_selects_the_pods_everywhere() -> None:
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    selectors = [
        DEPLOYMENT["selector"]["matchLabels"],
        read(BASE / "service.yaml")["spec"]["selector"],
        read(BASE / "poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in POD["topologySpreadConstraints"]),
    ]
    assert selectors == [labels] * len(selectors)


def test_there_is_a_leader_and_a_standby_and_one_of_them_stays() -> None:
    assert DEPLOYMENT["replicas"] == 2
    assert DEPLOYMENT["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert read(BASE / "poddisruptionbudget.yaml")["spec"]["minAvailable"] == 1


def test_the_pod_keeps_to_the_restricted_profile() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = CONTAINER["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True
    volumes = POD["volumes"] + PATCH["volumes"]
    assert {kind for volume in volumes for kind in volume} == {"name", "configMap", "secret"}
    labels = read(BASE / "namespace.yaml")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_user_is_that_of_the_image() -> None:
    dockerfile = (KUBERNETES.parents[1] / "docker" / "Dockerfile").read_text()
    user = POD["securityContext"]["runAsUser"]
    assert re.search(rf"^USER {user}:{POD['securityContext']['runAsGroup']}$", dockerfile, re.MULTILINE)


def test_variables_of_services_stay_away() -> None:
    """STREAMAGG_PORT and its like would be refused as unknown settings."""
    assert POD["enableServiceLinks"] is False
    with pytest.raises(Exception, match="STREAMAGG_PORT"):
        settings({"STREAMAGG_PORT": "tcp://10.0.0.1:9464"})


def test_probes_ask_what_the_endpoint_knows() -> None:
    paths = {name: CONTAINER[name]["httpGet"]["path"] for name in CONTAINER if name.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    (port,) = CONTAINER["ports"]
    assert {CONTAINER[name]["httpGet"]["port"] for name in paths} == {port["name"]}
    annotations = DEPLOYMENT["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def settings(more: dict[str, str]) -> Resolver:
    """What streamagg makes of the ConfigMap and the variables."""
    (variable,) = CONTAINER["env"]
    assert variable["name"] == "STREAMAGG_CONFIG"
    (mount,) = CONTAINER["volumeMounts"]
    file = Path(variable["value"])
    assert str(file.parent) == mount["mountPath"]
    return Resolver(
        {}, environ={"STREAMAGG_CONFIG": str(BASE / file.name), "STREAMAGG_TRUST_FILES": "true", **more}
    )


def test_the_settings_are_settings() -> None:
    found = settings({}).run()
    assert found.pipeline.unmarshallers == 2
    (port,) = CONTAINER["ports"]
    assert str(found.http.address).endswith(f":{port['containerPort']}")


def test_the_password_comes_from_the_file_that_is_mounted(tmp_path: Path) -> None:
    (container,) = PATCH["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    (mount,) = container["volumeMounts"]
    file = Path(variables["STREAMAGG_KAFKA_SASL_PASSWORD_FILE"])
    assert str(file.parent) == mount["mountPath"]
    note = (KUBERNETES / "with-password" / "kustomization.yaml").read_text()
    (volume,) = PATCH["volumes"]
    assert f"generic {volume['secret']['secretName']} --from-file={file.name}=" in note
    (tmp_path / file.name).write_text("CANARY")
    here = variables | {"STREAMAGG_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / file.name)}
    assert settings(here).kafka().client["sasl.password"] == "CANARY"


def test_requests_come_from_measurements() -> None:
    """Memory for the peak of as many unmarshallers, and half of it again; CPU for the steady stream."""
    resources = CONTAINER["resources"]
    unmarshallers = settings({}).run().pipeline.unmarshallers
    topics = [name for name, load in LOADS.items() if load.is_main]
    measured = [read_results(path) for name in topics if (path := RESULTS / f"{name}.json").exists()]
    rows = [results.row(f"streamagg-{unmarshallers}") for results in measured]
    peak = max(row.peak_mb for row in rows if row is not None) * 1e6
    assert f"streamagg-{unmarshallers}" in SIZED
    assert peak * 1.2 <= in_bytes(resources["requests"]["memory"]) <= peak * 2
    assert in_bytes(resources["limits"]["memory"]) == 2 * in_bytes(resources["requests"]["memory"])
    live = json.loads((RESULTS / "latency.json").read_text())["cpu"]["live"]
    requested = int(resources["requests"]["cpu"].removesuffix("m")) / 1_000
    assert live["cores"] <= requested <= 3 * live["cores"]
    assert "cpu" not in resources["limits"]
