"""The compose files of docker/, and their containers as processes of this machine."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.environment import CALM
from tests.support.instances import READY_S

PATH: Final = Path(__file__).resolve().parents[2] / "docker" / "compose.yaml"
FILES_PATH: Final = PATH.with_name("compose.files.yaml")
"""The example without Kafka."""


def services(path: Path = PATH) -> dict[str, dict[str, Any]]:
    """The services by name, merges resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return found


def mounts(service: Mapping[str, Any]) -> dict[str, Path]:
    """Files of this repository by their path in the container."""
    parts = [volume.split(":") for volume in service.get("volumes", ())]
    return {part[1]: (PATH.parent / part[0]).resolve() for part in parts if part[0].startswith(".")}


def lay_out(service: Mapping[str, Any], root: Path, addresses: Mapping[str, str]) -> None:
    """Write the files of a service below ``root``, other addresses in the places of those of containers."""
    for inside, file in mounts(service).items():
        path = root / inside.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(moved(file.read_text(), addresses))


def moved(text: str, addresses: Mapping[str, str]) -> str:
    """The text with every address that stands in it as a whole replaced."""
    for container, here in addresses.items():
        text = re.sub(rf"(?<![\w.-]){re.escape(container)}(?!\d)", here, text)
    return text


def flags(service: Mapping[str, Any], root: Path) -> list[str]:
    """The command of a service with its paths below ``root``."""
    return [re.sub(r"=/(?=\w)", f"={root}/", word) for word in service["command"]]


def shell(service: Mapping[str, Any]) -> list[str]:
    """Entry point and command of a service that is a line for a shell."""
    return [*service["entrypoint"], *service["command"]]


def placed(words: Sequence[str], addresses: Mapping[str, str], paths: Mapping[str, Path]) -> list[str]:
    """A command with other addresses and paths in the places of those of containers."""
    found = []
    for word in words:
        for inside, here in paths.items():
            word = word.replace(inside, str(here))
        found.append(moved(word, addresses))
    return found


@contextmanager
def started(command: Sequence[str], variables: Mapping[str, str], log: Path) -> Iterator[None]:
    """What a container runs, in a process group of its own; it must still run at the end."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **CALM, **variables, "PATH": path}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(READY_S)


def words(line: str) -> list[list[str]]:
    """The commands of a pipe."""
    return [shlex.split(part) for part in line.split("|")]


def kafka_properties(environment: Mapping[str, str]) -> dict[str, str]:
    """What the image of Kafka makes of its variables."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith("KAFKA_")
    }
