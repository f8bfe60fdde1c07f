"""Carries out the instructions of the Dockerfile as they stand, each stage in a root of its own.

In the place of the base image stands this machine, with the standard library, headers and program of the
running Python copied to /usr/local, where the base image has its own.
"""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.image.overlay import Root
from tests.support.dockerfile import Instruction, Stage, stages

CONTEXT: Final = Path(__file__).resolve().parents[2]
IGNORED: Final = CONTEXT / "docker" / "Dockerfile.dockerignore"
SEARCHED: Final = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSED_ON: Final = ("PIP_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy")
"""How pip and apt find what they fetch here; a real build takes such things from its engine."""


@dataclass(slots=True)
class Built:
    """A stage that was carried out."""

    root: Root
    environment: dict[str, str]
    user: str = "0:0"
    entry: list[str] = field(default_factory=list)
    default: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    workdir: str = "/"


def build(directory: Path) -> Built:
    """The last stage of docker/Dockerfile. Raises CalledProcessError."""
    built: dict[str, Built] = {}
    for number, stage in enumerate(stages()):
        built[stage.name] = _carry_out(stage, Root(directory / f"stage-{number}").make(), built)
    return built[""]


def _carry_out(stage: Stage, root: Root, before: Mapping[str, Built]) -> Built:
    _put_python(root)
    built = Built(root, {"PATH": SEARCHED, "HOME": "/root"})
    for instruction in stage.instructions:
        _obey(instruction, built, before)
    return built


def _put_python(root: Root) -> None:
    """Python under /usr/local, with pip, as python:3.x has it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = root.path(f"/usr/local/lib/{version}")
    unneeded = shutil.ignore_patterns(
        "site-packages", "dist-packages", "test", "__pycache__", "EXTERNALLY-MANAGED"
    )
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=unneeded)
    (library / "site-packages").mkdir()
    shutil.copytree(sysconfig.get_path("include"), root.path(f"/usr/local/include/{version}"))
    programs = root.path("/usr/local/bin")
    programs.mkdir()
    shutil.copy(Path(sys._base_executable).resolve(), programs / version)  # type: ignore[attr-defined]
    for name in ("python", "python3"):
        (programs / name).symlink_to(version)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        shared = sysconfig.get_config_var("INSTSONAME")
        shutil.copy(Path(sysconfig.get_config_var("LIBDIR")) / shared, root.path("/usr/local/lib"))
        root.run(["ldconfig"], {"PATH": SEARCHED})
    root.run(["python", "-m", "ensurepip"], {"PATH": SEARCHED})


def _obey(instruction: Instruction, built: Built, before: Mapping[str, Built]) -> None:
    text = instruction.text
    match instruction.word:
        case "RUN":
            print(f"RUN {text[:100]}", flush=True)
            command = f"cd {built.workdir} && {text}"
            built.root.run(["/bin/sh", "-c", command], _fetching(built.environment))
        case "COPY":
            _copy(text.split(), built, before)
        case "ENV":
            built.environment |= _variables(text, built.environment)
        case "WORKDIR":
            built.workdir = text
            built.root.path(text).mkdir(parents=True)
        case "USER":
            built.user = text
        case "ENTRYPOINT":
            built.entry = instruction.exec_form
        case "CMD":
            built.default = instruction.exec_form
        case "HEALTHCHECK":
            built.health = instruction.exec_form
        case "ARG" | "LABEL":
            pass
        case word:
            raise ValueError(f"{word} is not known here")


def _fetching(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)} | {**environment}


def _variables(text: str, known: Mapping[str, str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name: re.sub(r"\$(\w+)", lambda found: known[found[1]], value) for name, _, value in pairs}


def _copy(words: list[str], built: Built, before: Mapping[str, Built]) -> None:
    """From the context, as far as the .dockerignore lets it through, or from another stage."""
    stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    *sources, target = words
    to = built.root.path(os.path.join(built.workdir, target))
    for source in sources:
        found = CONTEXT / source if stage is None else before[stage].root.path(source)
        if found.is_dir():
            shutil.copytree(found, to, symlinks=True, ignore=_ignored() if stage is None else None)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, to)


def _ignored() -> Callable[[Any, list[str]], set[str]]:
    """What is left out of directories of the context; which of its files count is tested elsewhere."""
    lines = IGNORED.read_text().splitlines()
    return shutil.ignore_patterns(*(line.removeprefix("**/") for line in lines if line.startswith("**/")))
