"""Builds the wheel for Linux, has auditwheel judge it, and tries it: ``python -m supply.wheels TOOLS``.

The parts in C use the limited interface of Python 3.11, so that one wheel is for all later versions, too. It
is built from the sdist, as others would build it, and auditwheel tells which systems have a C library that is
new enough. TOOLS is the folder of the programs auditwheel and patchelf.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

ROOT: Final = Path(__file__).resolve().parents[1]
DIST: Final = ROOT / "dist"
VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
MODULES: Final = (
    "streamagg.core._stepper",
    "streamagg.decode._scanner",
    "streamagg.sources.directory._csv",
    "streamagg.sources.kafka._fetcher",
)
"""What is in C."""
PROJECT: Final = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
INSTALLED_BY: Final = (
    Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions",
    Path(os.environ.get("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python")).expanduser(),
)
"""Where pyenv and uv keep the interpreters that they have installed, which need not be in the path."""
NATIVE: Final = f"""
import {", ".join(MODULES)}
from streamagg.sources.kafka.fetching import load_native
assert load_native(), "messages cannot be fetched in C"
"""

Command = tuple[str | Path, ...]


class WheelFailed(Exception):
    """The wheel is not what it should be."""


def build_sdist(directory: Path) -> Path:
    """The sdist, in a directory; of a copy, so that nothing of an earlier build gets into it."""
    source = directory / "source"
    shutil.copytree(
        ROOT / "streamagg", source / "streamagg", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    for name in PROJECT:
        shutil.copy(ROOT / name, source)
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    _run(sys.executable, "-c", code, directory, cwd=source)
    (sdist,) = directory.glob("*.tar.gz")
    return sdist


def build_wheel(sdist: Path, directory: Path, path: str | None = None) -> Path:
    """The wheel of an sdist, in a directory; ``path`` is where programs are, compilers too."""
    _run("tar", "--extract", "--file", sdist, "--directory", directory)
    (source,) = directory.glob("streamagg-*/")
    pip: Command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    _run(*pip, "--wheel-dir", directory, source, path=path)
    (wheel,) = directory.glob("*.whl")
    return wheel


def module_file(name: str) -> str:
    """Where a module in C is, below what it was built into."""
    return f"{name.replace('.', '/')}.abi3.so"


def lacks(wheel: Path) -> list[str]:
    """The modules in C that a wheel does not hold: those that could not be built are left out."""
    with ZipFile(wheel) as archive:
        held = archive.namelist()
    return [name for name in MODULES if module_file(name) not in held]


def audited(wheel: Path, tools: Path) -> Path:
    """The wheel under the name of the oldest systems that it is good for, in ``dist``; raises WheelFailed."""
    if missing := lacks(wheel):
        raise WheelFailed(f"it was built without {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as directory:
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        _run(tools / "auditwheel", "repair", "--wheel-dir", directory, wheel, path=path)
        (judged,) = Path(directory).glob("*.whl")
        DIST.mkdir(exist_ok=True)
        return Path(shutil.copy(judged, DIST))


def find_interpreter(version: str) -> Path | None:
    """One of that version that can make environments."""
    folders = [folder for root in INSTALLED_BY for folder in sorted(root.glob("*/bin"))]
    candidates = (folder / f"python{version}" for folder in [*map(Path, os.get_exec_path()), *folders])
    return next((python for python in candidates if python.exists() and _can_make(python, version)), None)


def _can_make(python: Path, version: str) -> bool:
    check = "import ensurepip, sys, venv; sys.exit('{}.{}'.format(*sys.version_info) != sys.argv[1])"
    return not subprocess.run([python, "-c", check, version], check=False, capture_output=True).returncode


def try_wheel(wheel: Path, python: Path, directory: Path) -> str:
    """What it counts when it is installed as docs/operations.md says; raises WheelFailed."""
    _run(python, "-m", "venv", directory)
    pip: Command = (directory / "bin/python", "-m", "pip", "install", "--disable-pip-version-check")
    _run(*pip, "--require-hashes", "--only-binary=:all:", "-r", ROOT / "requirements/run.lock")
    _run(*pip, "--no-deps", wheel)
    _run(directory / "bin/python", "-c", NATIVE, cwd=directory)
    records = directory / "records.jsonl"
    _run(directory / "bin/streamagg", "generate", "--count", "20000", "-o", records)
    return _run(directory / "bin/streamagg", "count", records)


def _run(*command: str | Path, cwd: Path | None = None, path: str | None = None) -> str:
    """What it writes to standard output; raises WheelFailed with all that it says."""
    environment = {**os.environ, "PATH": os.environ["PATH"] if path is None else path}
    ran = subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise WheelFailed(f"{' '.join(map(str, command))}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def make(tools: Path) -> Iterator[str]:
    """Lines that say what was built and tried; raises WheelFailed."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        sdist = build_sdist(place)
        wheel = audited(build_wheel(sdist, place), tools)
        shutil.copy(sdist, DIST)
        yield f"{sdist.name}\n{wheel.name}"
        counted: set[str] = set()
        for version in VERSIONS:
            python = find_interpreter(version)
            if python is None:
                yield f"Python {version}: NOT TRIED, it is not installed (uv python install {version})"
                continue
            counted.add(try_wheel(wheel, python, place / version))
            if len(counted) > 1:
                raise WheelFailed(f"it counts differently on Python {version}")
            yield f"Python {version}: installed, and has counted"


if __name__ == "__main__":
    try:
        for line in make(Path(sys.argv[1]).resolve()):
            print(line, flush=True)
    except WheelFailed as error:
        sys.exit(f"The wheel is not good: {error}")
