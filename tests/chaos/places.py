"""What a scenario's runs read, and what they publish to."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.chaos.outputs import DirectoryOutput, Output, PostgresOutput, TopicOutput


@dataclass(frozen=True, slots=True)
class Places:
    """One source, one sink."""

    source: Literal["topic", "directory"] = "topic"
    sink: Literal["topic", "directory", "postgres"] = "topic"
    room_mb: int = 0
    """Of the file system that the sink is on, which is one of its own then; 0: whatever there is."""

    @property
    def in_kafka(self) -> bool:
        """One of them is."""
        return "topic" in (self.source, self.sink)


@contextmanager
def opened_output(places: Places, address: str, topic: str, directory: Path) -> Iterator[Output]:
    """Where results go; ``topic`` is there if it is one, ``directory`` is for everything else."""
    with _room(directory / "sink", places.room_mb) as room:
        output = _output(places, address, topic, room)
        try:
            yield output
        finally:
            output.close()


def _output(places: Places, address: str, topic: str, room: Path) -> Output:
    match places.sink:
        case "topic":
            return TopicOutput(address, topic)
        case "directory":
            return DirectoryOutput(room / "out")
        case "postgres":
            return PostgresOutput(room / "postgres" if places.room_mb else None)


@contextmanager
def _room(path: Path, room_mb: int) -> Iterator[Path]:
    """A directory, or a file system of this size; raises AssertionError where that may not be made."""
    path.mkdir()
    if not room_mb:
        yield path
        return
    assert os.geteuid() == 0, "only root can mount a file system of a given size"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={room_mb}m,mode=755", "tmpfs", str(path)], check=True
    )
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
