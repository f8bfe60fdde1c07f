"""A Python of its own for a contender, with exactly the packages that its requirements pin."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import confluent_kafka

from bench.contender import Job, NotAvailable

OLDEST_PYTHON: Final = (3, 11)
TIMEOUT_S: Final = 1_800
"""PyFlink alone is 800 MB."""
ASK: Final = "import sys, ensurepip, venv; print(*sys.version_info[:2])"


def own_versions(*packages: str) -> dict[str, str]:
    """Versions of the Python that runs this, of librdkafka in it, and of these packages."""
    return {
        "python": sys.version.split()[0],
        "librdkafka": confluent_kafka.libversion()[0],
        **{package: version(package) for package in packages},
    }


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment below the cache; when its requirements change, it is made anew."""

    name: str
    requirements: Path
    """``name==version`` and hashes, for all packages."""
    newest_python: tuple[int, int] | None = None
    """What it contains runs on no newer one."""

    def python(self, cache: Path) -> Path:
        """Its interpreter."""
        return self._directory(cache) / "venv" / "bin" / "python"

    def install(self, cache: Path) -> None:
        """Make it, unless that is done. Raises NotAvailable."""
        directory = self._directory(cache)
        done = directory / "installed"
        digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()
        if done.exists() and done.read_text() == digest:
            return
        base = self._base_python()
        done.unlink(missing_ok=True)
        directory.mkdir(parents=True, exist_ok=True)
        self._run([base, "-m", "venv", "--clear", str(directory / "venv")], directory)
        pip = [str(self.python(cache)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self._run([*pip, "--require-hashes", "-r", str(self.requirements)], directory)
        done.write_text(digest)

    def versions(self, cache: Path, packages: Iterable[str]) -> dict[str, str]:
        """Versions of its Python and of these packages."""
        pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", self.requirements.read_text(), re.MULTILINE))
        settings = (self._directory(cache) / "venv" / "pyvenv.cfg").read_text()
        python = re.search(r"^version\s*=\s*(\S+)", settings, re.MULTILINE)
        return {
            "python": python[1] if python else "unknown",
            **{package: pinned[package] for package in packages},
        }

    def program(self, file: Path) -> Callable[[Job, Path], list[str]]:
        """How to run a program in it that takes a job by the flags they all share."""

        def command(job: Job, cache: Path) -> list[str]:
            words = [
                str(self.python(cache)),
                str(file),
                job.topic.name,
                str(job.topic.records),
                str(job.result),
            ]
            words += ["--bootstrap-servers", job.bootstrap, "--group", job.output]
            return [*words, "--partitions", str(job.topic.partitions), "--scratch", str(job.scratch)]

        return command

    def _directory(self, cache: Path) -> Path:
        return cache / self.name

    def _base_python(self) -> str:
        newest = self.newest_python
        candidates = [sys.executable]
        if newest is not None:
            minors = range(newest[1], OLDEST_PYTHON[1] - 1, -1)
            candidates += [found for minor in minors if (found := shutil.which(f"python3.{minor}"))]
        for candidate in candidates:
            version = _version(candidate)
            if version is not None and (newest is None or version <= newest):
                return candidate
        if newest is None:
            raise NotAvailable("This Python cannot make virtual environments.")
        versions = " to ".join(f"{major}.{minor}" for major, minor in sorted({OLDEST_PYTHON, newest}))
        raise NotAvailable(f"{self.name} needs Python {versions}, which is not installed.")

    def _run(self, command: Sequence[str], directory: Path) -> None:
        log = directory / "install.log"
        with log.open("ab") as output:
            try:
                subprocess.run(command, stdout=output, stderr=output, timeout=TIMEOUT_S, check=True)
            except (OSError, subprocess.SubprocessError) as error:
                raise NotAvailable(f"{self.name} could not be installed, see {log}.") from error


def _version(python: str) -> tuple[int, int] | None:
    """Major and minor version of a Python that can make virtual environments; None if it cannot."""
    try:
        asked = subprocess.run(
            [python, "-c", ASK], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = asked.stdout.split()
    return int(major), int(minor)
