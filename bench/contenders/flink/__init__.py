"""Flink SQL, by PyFlink, in a cluster of its own process: at least once and exactly once."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job, NotAvailable
from bench.contenders.java.maven import Project

HERE: Final = Path(__file__).parent
CONNECTOR: Final = "flink-sql-connector-kafka"
PROJECT: Final = Project("flink-connector", HERE / "pom.xml")
PYTHON: Final = (3, 11)
INSTALL_TIMEOUT_S: Final = 1_800
HEAP: Final = "2g"


def prepare(cache: Path) -> dict[str, str]:
    """Install PyFlink into an environment, fetch the connector."""
    PROJECT.build(cache)
    _install(cache)
    return {**PROJECT.versions(cache, [CONNECTOR]), "apache-flink": _pinned("apache-flink")}


def run(*options: str) -> Callable[[Job, Path], list[str]]:
    """The command line with these options."""

    def command(job: Job, cache: Path) -> list[str]:
        [jar] = (PROJECT.directory(cache) / "jars").glob(f"{CONNECTOR}-*.jar")
        program = [str(cache / "venv" / "bin" / "python"), str(HERE / "job.py"), f"--heap={HEAP}", *options]
        files = [str(job.result), str(job.scratch), str(jar)]
        return [*program, job.bootstrap, job.topic.name, job.output, *files]

    return command


def _install(cache: Path) -> None:
    """An environment with exactly the pinned packages; at once if it is there."""
    requirements = HERE / "requirements.txt"
    environment = cache / "venv"
    installed = environment / "requirements.txt"
    if installed.exists() and installed.read_bytes() == requirements.read_bytes():
        return
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    log = cache / "pip.log"
    with log.open("wb") as out:
        for command in (
            [_python(), "-m", "venv", "--clear", str(environment)],
            [*pip, "--require-hashes", "-r", str(requirements)],
        ):
            try:
                subprocess.run(command, stdout=out, stderr=out, timeout=INSTALL_TIMEOUT_S, check=True)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                raise NotAvailable(f"PyFlink could not be installed: see {log}.") from None
    shutil.copy(requirements, installed)


def _python() -> str:
    """A Python for which the packages are pinned."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = ".".join(["python3", str(PYTHON[1])])
    found = shutil.which(name)
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        raise NotAvailable(f"PyFlink needs {name}, which is not installed.")
    return found


def _pinned(package: str) -> str:
    """Its version in the requirements."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    [line] = (line for line in lines if line.startswith(f"{package}=="))
    return line.partition("==")[2].split()[0]


CONTENDERS: Final = [
    Contender(
        name="flink-sql",
        title="Flink SQL: COUNT(DISTINCT), two slots",
        prepare=prepare,
        command=run(),
        remark=(
            "bounded, so that its last window closes; no checkpoints; "
            f"seconds by its log, from the first running source to the last finished task; heap of {HEAP}"
        ),
    ),
    Contender(
        name="flink-sql-eos",
        title="Flink SQL: the same, exactly-once sink",
        prepare=prepare,
        command=run("--exactly-once"),
        remark=f"checkpoints every second; otherwise as without; heap of {HEAP}",
    ),
]
