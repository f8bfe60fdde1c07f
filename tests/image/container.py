"""A built image as a process: its user, its environment, no rights, and nothing that can be written."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from tests.image.build import Built
from tests.image.overlay import entering

STOP_S: Final = 15.0
"""The stop_grace_period of docker/compose.yaml."""


class Container:
    """``docker run IMAGE arguments``; use it as a context manager."""

    def __init__(
        self, image: Built, arguments: Sequence[str], settings: Mapping[str, str], log: Path
    ) -> None:
        self._image = image
        self._environment = {**image.environment, "HOME": "/nonexistent", **settings}
        self._log = log
        command, environment = image.root.command(
            [*image.entry, *arguments], self._environment, user=image.user
        )
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of its first process: nothing stands between a signal and the entry point."""
        return self._process.pid

    def healthy(self, *more: str) -> bool:
        """What the health check of the image says."""
        return self.execute([*self._image.health, *more]).returncode == 0

    def execute(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """``docker exec``."""
        command = entering(self.pid, arguments, self._environment, self._image.user)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def stop(self) -> int:
        """``docker stop``; the exit code, or TimeoutExpired."""
        self._process.terminate()
        return self._process.wait(STOP_S)


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def size_mb(directory: Path) -> float:
    """Of all files below."""
    sizes = ((Path(at) / name).lstat().st_size for at, _, names in os.walk(directory) for name in names)
    return sum(sizes) / 1e6
