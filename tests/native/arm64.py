"""The modules for arm64: made by a cross compiler, tested in an emulator on an interpreter for arm64.

That and its libraries are Debian's packages, unpacked into a directory: nothing is installed, and no foreign
architecture is set up. What has parts in C comes in wheels for arm64, as the dev lock pins it; what has none,
such as pytest, is the host's.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from supply.pins import read_pins
from tests.native.build import DIRECTORY, ROOT, BuildFailed, build, link_package, run
from tests.native.variants import EVERYTHING

COMPILER: Final = "aarch64-linux-gnu-gcc"
EMULATOR: Final = "qemu-aarch64"
CACHE: Final = ROOT / ".streamagg" / "arm64"
SYSTEM: Final = CACHE / "system"
"""The root of what Debian's packages hold."""
DEBIAN: Final = ("python3-minimal", "libpython3-stdlib", "libpython3-dev", "libstdc++6")
WHEELS: Final = ("confluent-kafka", "hypothesis", "msgspec", "numpy", "orjson", "xxhash", "zstandard")
# Each document of the corpus by itself would take half a minute: they are decoded in batches.
TESTS: Final = (*EVERYTHING, "--deselect=tests/unit/test_decode.py::test_corpus")
PLATFORMS: Final = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


def test(arguments: list[str]) -> int:
    """The exit code of the interpreter; raises BuildFailed where it is not to be had, or what it needs."""
    if not SYSTEM.exists():
        _unpack_debian(SYSTEM)
    python = (SYSTEM / "usr/bin/python3").resolve()
    wheels = CACHE / f"wheels-{python.name}"
    _install_wheels(wheels, python.name.removeprefix("python"))
    directory = DIRECTORY / "arm64"
    # A folder of headers that is named here comes before those of the host's Python.
    build(directory, COMPILER, (f"--sysroot={SYSTEM}", f"-I{SYSTEM / 'usr/include' / python.name}"))
    link_package(directory)
    environment = {
        "PYTHONPATH": ":".join(map(str, (directory, wheels, sysconfig.get_path("purelib")))),
        # The host's packages are compiled for another version, perhaps.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return run(directory, [EMULATOR, "-L", str(SYSTEM), str(python)], arguments, environment)


def _unpack_debian(root: Path) -> None:
    part = root.with_suffix(".part")
    for folder in (part, CACHE / "lists/partial", CACHE / "archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    (CACHE / "status").touch()
    try:
        _apt("update")
        _apt("install", "--download-only", "--yes", "--no-install-recommends", *DEBIAN)
        for package in (CACHE / "archives").glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, part], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildFailed(f"no Python for arm64: Debian's packages are not to be had: {error}") from error
    part.rename(root)


def _apt(*arguments: str) -> None:
    """As on a machine for arm64 on which nothing is installed."""
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::State": CACHE,
        "Dir::State::status": CACHE / "status",
        "Dir::Cache": CACHE,
    }
    options = [f"--option={name}={value}" for name, value in settings.items()]
    subprocess.run(["apt-get", "-qq", *options, *arguments], check=True, stdout=subprocess.DEVNULL)


def _install_wheels(directory: Path, version: str) -> None:
    requirements = CACHE / "requirements.txt"
    requirements.write_text("".join(_pinned(WHEELS)))
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *platforms]
    command += [f"--python-version={version}", "--only-binary=:all:", "--no-deps", "--require-hashes"]
    command += [f"--target={directory}", "--upgrade", f"--requirement={requirements}"]
    if subprocess.run(command, check=False).returncode:
        raise BuildFailed(f"no wheels for Python {version} on arm64")


def _pinned(names: Iterable[str]) -> Iterable[str]:
    for pin in read_pins(ROOT / "requirements/dev.lock"):
        if pin.applies and pin.name in names:
            yield f"{pin.name}=={pin.version} {' '.join(f'--hash=sha256:{each}' for each in pin.sha256)}\n"
