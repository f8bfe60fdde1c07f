"""The broker's program: Java, and the jars that Maven fetches once and keeps.

They are kept in ``STREAMAGG_BROKER_HOME``, by default ``.streamagg/broker`` in the repository.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

POM: Final = Path(__file__).with_name("pom.xml")
OLDEST: Final = "2.5.1"
"""The oldest version that is tested, beside the one in the pom."""
REPOSITORY: Final = Path(__file__).resolve().parents[2]
OLDEST_JAVA: Final = 17
MAVEN_TIMEOUT_S: Final = 300
_KAFKA: Final = re.compile(r"(?<=<artifactId>kafka_2.13</artifactId>\n      <version>)[0-9.]+")


class BrokerMissing(Exception):
    """This machine lacks something that the broker needs; the text says what."""


def home() -> Path:
    """Where jars and the data of ``make broker`` are kept."""
    return Path(os.environ.get("STREAMAGG_BROKER_HOME") or REPOSITORY / ".streamagg" / "broker")


def missing(version: str | None = None) -> str | None:
    """What must be installed before a broker can run here, or None."""
    lacks = []
    if _java_version() < OLDEST_JAVA:
        lacks.append(f"Java {OLDEST_JAVA}")
    if not jar_directory(version).is_dir() and shutil.which("mvn") is None:
        lacks.append("Maven (mvn)")
    return " and ".join(lacks) or None


def java() -> str:
    """Path of the Java launcher that is used: the one of ``JAVA_HOME``, else the one on the path."""
    java_home = os.environ.get("JAVA_HOME")
    return f"{java_home}/bin/java" if java_home else "java"


def jar_directory(version: str | None = None) -> Path:
    """Where the jars of this pom are, or will be: another pom has another directory."""
    digest = hashlib.sha256(_pom(version).encode()).hexdigest()[:12]
    return home() / f"jars-{digest}"


def fetch(version: str | None = None) -> Path:
    """Directory of the jars, fetched unless they are there; ``version``: of Kafka, if not that of the pom.

    Raises ``BrokerMissing``.
    """
    lacks = missing(version)
    if lacks:
        raise BrokerMissing(f"missing here: {lacks}")
    target = jar_directory(version)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        jars = Path(scratch) / "jars"
        _run_maven(_pom(version), Path(scratch), jars)
        _publish(jars, target)
    return target


def _pom(version: str | None) -> str:
    text = POM.read_text()
    return text if version is None else _KAFKA.sub(version, text, count=1)


def _run_maven(pom: str, scratch: Path, jars: Path) -> None:
    # A copy, because Maven writes beside the pom it is given.
    (scratch / "pom.xml").write_text(pom)
    command = ["mvn", "-q", "-B", "-C", "-Dstyle.color=never", "-DincludeScope=runtime"]
    command += [f"-DoutputDirectory={jars}", "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BrokerMissing(f"Maven did not fetch the broker within {MAVEN_TIMEOUT_S} s") from None
    if done.returncode != 0:
        cause = next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), "no output")
        raise BrokerMissing(f"Maven could not fetch the broker: {cause}")


def _publish(jars: Path, target: Path) -> None:
    """Move the finished directory into place at once; a concurrent fetch may have been first."""
    try:
        jars.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _java_version() -> int:
    """Major version of the Java on the path, 0 when there is none."""
    try:
        done = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0
