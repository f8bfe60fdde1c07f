"""docker/compose.yaml, and its containers as processes of this machine."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

PATH: Final = Path(__file__).resolve().parents[2] / "docker" / "compose.yaml"


def services() -> dict[str, dict[str, Any]]:
    """The services by name, merges resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(PATH.read_text())["services"]
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
