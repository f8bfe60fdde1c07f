"""deploy/systemd: the unit as systemd reads it, and its settings as streamagg does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamagg.errors import ExitCode
from streamagg.settings.resolve import Resolver
from tests.support.environment import CI

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = SYSTEMD / "streamagg.service"
SETTINGS = SYSTEMD / "streamagg.env"
MOST_EXPOSED = 1.5
"""Of 10, where 10 is a service without any limits."""


@pytest.fixture
def analyze(tmp_path: Path) -> "Analyze":
    if shutil.which("systemd-analyze") is None:
        if CI:
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    return Analyze(tmp_path)


class Analyze:
    """systemd-analyze on the unit, with a program that exists here."""

    def __init__(self, directory: Path) -> None:
        self._unit = directory / UNIT.name
        program = Path(sys.executable).with_name("streamagg")
        text, replaced = re.subn(r"(?m)^ExecStart=\S+ run$", f"ExecStart={program} run", UNIT.read_text())
        assert replaced == 1
        self._unit.write_text(text)

    def __call__(self, verb: str, *flags: str) -> str:
        command = ["systemd-analyze", verb, *flags, str(self._unit)]
        environment = {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def entries(name: str) -> list[str]:
    """What the unit gives for a name."""
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())


def test_systemd_understands_the_unit(analyze: Analyze) -> None:
    # Its warnings about units that this machine has not are not about this one.
    assert [line for line in analyze("verify").splitlines() if UNIT.name in line] == []


def test_the_service_can_do_little(analyze: Analyze) -> None:
    shown = analyze("security", "--offline=true", "--no-pager")
    (exposure,) = re.findall(r"Overall exposure level for streamagg.service: ([\d.]+)", shown)
    assert float(exposure) <= MOST_EXPOSED
    page = (SYSTEMD.parents[1] / "docs" / "operations.md").read_text()
    assert f"(`systemd-analyze security` says {exposure}," in page


def test_the_watchdog_is_fed() -> None:
    assert entries("Type") == ["notify"]
    assert int(entries("WatchdogSec")[0]) >= 30


def test_what_another_start_cannot_mend_is_not_started_again() -> None:
    codes = {int(code) for code in entries("RestartPreventExitStatus")[0].split()}
    assert codes == {ExitCode.USAGE, ExitCode.TOO_MANY_USERS, ExitCode.NOTHING_COUNTED}


def test_the_environment_file_holds_settings(tmp_path: Path) -> None:
    assert entries("EnvironmentFile") == [f"/etc/streamagg/{SETTINGS.name}"]
    lines = [line for line in SETTINGS.read_text().splitlines() if line and not line.startswith("# ")]
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    found = Resolver({}, environ=given).run()
    assert (found.input, found.output) == ("visits", "visitors")
    offered = dict(line.removeprefix("#").split("=", 1) for line in lines if line.startswith("#"))
    password = "STREAMAGG_KAFKA_SASL_PASSWORD_FILE"
    credential = offered[password]
    (tmp_path / "password").write_text("CANARY")
    offered[password] = str(tmp_path / "password")
    assert Resolver({}, environ=given | offered).kafka().client["security.protocol"] == "SASL_SSL"
    (loaded,) = re.findall(r"(?m)^#LoadCredential=([\w-]+):", UNIT.read_text())
    assert credential == f"/run/credentials/{UNIT.name}/{loaded}"
