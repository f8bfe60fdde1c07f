"""Builds a small Java program with Maven, below the cache; its sources may come from several places."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.contender import NotAvailable

OLDEST_JAVA: Final = 17
TIMEOUT_S: Final = 600
JVM_OPTIONS: Final = ["-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
"""The collector for throughput; Kafka Streams warns of each late record, which costs more than the record."""


@dataclass(frozen=True, slots=True)
class Project:
    """A pom and the sources that are compiled with it; when one changes, it is built anew."""

    name: str
    pom: Path
    sources: Sequence[Path] = ()
    """Java files; without any, the jars are all there is."""

    def directory(self, cache: Path) -> Path:
        """Where its classes and jars are, or will be."""
        digest = hashlib.sha256(self.pom.read_bytes())
        for source in self.sources:
            digest.update(source.name.encode() + source.read_bytes())
        return cache / f"{self.name}-{digest.hexdigest()[:12]}"

    def launch(self, cache: Path, heap: str, *options: str) -> list[str]:
        """Start of a command line: its class ``UniqueUsers`` in a Java with so large a heap and options."""
        directory = self.directory(cache)
        class_path = f"{directory}/classes:{directory}/jars/*"
        return [java(), f"-Xmx{heap}", *JVM_OPTIONS, *options, "-cp", class_path, "UniqueUsers"]

    def build(self, cache: Path) -> None:
        """Compile and fetch, unless that is done. Raises NotAvailable."""
        target = self.directory(cache)
        if target.is_dir():
            return
        java_version()
        if shutil.which("mvn") is None:
            raise NotAvailable("Maven (mvn) is not installed.")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            built = self._run_maven(Path(scratch), cache / f"{self.name}.log")
            built.rename(target)

    def versions(self, cache: Path, jars: Iterable[str]) -> dict[str, str]:
        """Versions of Java and of these jars, as they were fetched."""
        fetched = self.directory(cache) / "jars"
        return {"java": java_version(), **{jar: _version(fetched, jar) for jar in jars}}

    def _run_maven(self, scratch: Path, log: Path) -> Path:
        shutil.copy(self.pom, scratch / "pom.xml")
        (scratch / "src").mkdir()
        for source in self.sources:
            shutil.copy(source, scratch / "src")
        built = scratch / "target"
        command = ["mvn", "-B", "-Dstyle.color=never", "compile", "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={built}/jars"]
        with log.open("wb") as out:
            try:
                subprocess.run(command, cwd=scratch, stdout=out, stderr=out, timeout=TIMEOUT_S, check=True)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                raise NotAvailable(f"Maven could not build {self.name}: see {log}.") from None
        return built


def java() -> str:
    """The launcher of ``JAVA_HOME``, else the one on the path."""
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/java" if home else "java"


def java_version() -> str:
    """The version of that Java. Raises NotAvailable when it is absent or too old."""
    try:
        said = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise NotAvailable("Java is not installed.") from None
    found = re.search(r'version "((\d+)[^"]*)"', said.stderr)
    if found is None or int(found[2]) < OLDEST_JAVA:
        raise NotAvailable(f"Java is older than {OLDEST_JAVA}.")
    return found[1]


def _version(jars: Path, name: str) -> str:
    [jar] = (path for path in jars.iterdir() if re.fullmatch(rf"{re.escape(name)}-\d.*\.jar", path.name))
    return jar.stem.removeprefix(f"{name}-")
