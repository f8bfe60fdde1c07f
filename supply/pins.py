"""Reads a requirements file of pins and hashes, as ``make lock`` writes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

_HASH: Final = "--hash=sha256:"


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    applies: bool
    """It belongs to this platform and this Python."""
    sha256: tuple[str, ...]
    """Of every file that the lock accepts."""


def read_pins(lock: Path) -> list[Pin]:
    """All packages of a lock, in its order; raises packaging's InvalidRequirement on anything else."""
    return [_pin(entry) for entry in _entries(lock.read_text())]


def _entries(text: str) -> Iterator[list[str]]:
    """The parts of each entry: the requirement, then its hashes."""
    joined = text.replace("\\\n", "\0")
    for line in joined.splitlines():
        if line.strip() and not line.startswith("#"):
            yield [part.strip() for part in line.split("\0")]


def _pin(parts: list[str]) -> Pin:
    requirement = Requirement(parts[0])
    (pinned,) = requirement.specifier
    return Pin(
        name=requirement.name,
        version=pinned.version,
        applies=requirement.marker is None or requirement.marker.evaluate(),
        sha256=tuple(part.removeprefix(_HASH) for part in parts[1:]),
    )
