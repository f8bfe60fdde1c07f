"""The jar of the job: compiled by Maven from the sources that are installed with this package, and kept.

Maven is needed anyhow, for Flink's connector of Kafka; so the wheel holds no jar that could be of other
sources than these. What is kept bears a digest of the sources in its name.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamagg.errors import StreamaggError

PROJECT: Final = Path(__file__).parent / "java"
OLDEST_JAVA: Final = 17
_MAVEN_S: Final = 900
_JAVA_S: Final = 60
_LAST_LINES: Final = 3


class FlinkMissing(StreamaggError):
    """Something is not installed that a job on Flink needs."""


@dataclass(frozen=True, slots=True)
class Built:
    """What Maven has made."""

    directory: Path

    @property
    def own(self) -> Path:
        """The jar of the job alone."""
        (jar,) = self.directory.glob("streamagg-flink-*.jar")
        return jar

    @property
    def class_path(self) -> str:
        """For a cluster in the process of the job."""
        return os.pathsep.join([str(self.own), f"{self.directory}/job/*", f"{self.directory}/cluster/*"])

    def write_jar(self, target: Path) -> None:
        """The jar for a cluster, which has Flink but not what else the job needs: that lies in ``lib/``."""
        shutil.copyfile(self.own, target)
        with zipfile.ZipFile(target, "a") as jar:
            for needed in sorted((self.directory / "job").glob("*.jar")):
                jar.write(needed, f"lib/{needed.name}")


def java() -> str:
    """The launcher of ``JAVA_HOME``, else the one on the path; raises FlinkMissing if it is absent or old."""
    home = os.environ.get("JAVA_HOME")
    found = f"{home}/bin/java" if home else shutil.which("java")
    if found is None:
        raise FlinkMissing(f"A job on Flink needs Java {OLDEST_JAVA} or newer: install it, or set JAVA_HOME.")
    try:
        said = subprocess.run(
            [found, "-version"], capture_output=True, text=True, timeout=_JAVA_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FlinkMissing(f"The Java at {found} cannot be run: {error}.") from None
    version = re.search(r'version "(\d+)', said.stderr)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise FlinkMissing(f"The Java at {found} is older than {OLDEST_JAVA}: set JAVA_HOME to a newer one.")
    return found


def built() -> Built:
    """What was made of the installed sources before, or is made now; raises FlinkMissing."""
    target = _home() / f"flink-{_digest()}"
    if not target.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            raise FlinkMissing(
                "The first start of a job on Flink needs Maven (mvn) to fetch Flink's jars: install it, or"
                f" copy {target} from a machine where the job was started before."
            )
        java()
        _build(maven, target)
    return Built(target)


def _home() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "streamagg"


def _sources() -> list[Path]:
    return [PROJECT / "pom.xml", *sorted((PROJECT / "src" / "main").rglob("*.java"))]


def _digest() -> str:
    digest = hashlib.sha256()
    for source in _sources():
        digest.update(source.relative_to(PROJECT).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:12]


def _build(maven: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A copy, because Maven writes beside the pom it is given.
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for source in _sources():
            place = Path(scratch) / source.relative_to(PROJECT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
        _run([maven, "-B", "-q", "-Dstyle.color=never", "-Dmaven.test.skip=true", "package"], scratch)
        try:
            (Path(scratch) / "target").rename(target)
        except OSError:
            # Another start was faster.
            if not target.is_dir():
                raise


def _run(command: list[str], directory: str) -> None:
    try:
        subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_MAVEN_S, check=True)
    except subprocess.TimeoutExpired:
        raise FlinkMissing(f"Maven did not fetch Flink's jars within {_MAVEN_S} s.") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stdout + error.stderr).splitlines() if "ERROR" in line]
        why = " ".join(lines[:_LAST_LINES]) or f"exit code {error.returncode}"
        raise FlinkMissing(f"Maven could not make the jar of the job: {why}") from None
