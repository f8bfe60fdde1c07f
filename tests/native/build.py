"""Builds the modules in C by setup.py, as an installation does, but for one of many compilers and flags."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from supply.wheels import MODULES, module_file

ROOT: Final = Path(__file__).parents[2]
DIRECTORY: Final = ROOT / ".streamagg" / "native"
WARNINGS: Final = ("-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror")
LINKED: Final = ("pyproject.toml", "tests")


class BuildFailed(Exception):
    """A compiler has not made what it should."""


def build(directory: Path, compiler: str, flags: tuple[str, ...] = ()) -> None:
    """Make the modules in a directory; raises BuildFailed, with what the compiler says on standard error."""
    shutil.rmtree(directory, ignore_errors=True)
    joined = " ".join((*WARNINGS, *flags))
    environment = {"CC": compiler, "LDSHARED": f"{compiler} -shared", "CFLAGS": joined, "LDFLAGS": joined}
    command = [sys.executable, "setup.py", "--quiet", "build_ext", f"--build-lib={directory}"]
    command.append(f"--build-temp={directory / 'objects'}")
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    # A part that cannot be built is left out of an installation, with a warning.
    missing = [name for name in MODULES if not (directory / module_file(name)).exists()]
    if missing:
        raise BuildFailed(f"{compiler} has not built {', '.join(missing)}")


def link_package(directory: Path) -> None:
    """Link everything else that tests need beside the modules."""
    for source in (ROOT / "streamagg").rglob("*"):
        if source.is_file() and source.suffix not in {".so", ".c", ".h", ".pyc"}:
            link = directory / source.relative_to(ROOT)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
    for name in LINKED:
        (directory / name).symlink_to(ROOT / name)


def run(directory: Path, python: list[str], arguments: list[str], environment: Mapping[str, str]) -> int:
    """The exit code of an interpreter with the modules built there; raises BuildFailed if it has others."""
    own_environment = {**os.environ, "PYTHONPATH": str(directory), **environment}
    where = f"import {', '.join(MODULES)}; print({', '.join(f'{name}.__file__' for name in MODULES)})"
    loaded = subprocess.run(
        [*python, "-c", where],
        cwd=directory,
        env=own_environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    if loaded != [str(directory / module_file(name)) for name in MODULES]:
        raise BuildFailed(f"not the modules that were built, but {loaded}")
    return subprocess.run([*python, *arguments], cwd=directory, env=own_environment, check=False).returncode
