"""The ceiling: written by hand in Rust, on librdkafka."""

import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job, NotAvailable

HERE: Final = Path(__file__).parent


def prepare(cache: Path) -> dict[str, str]:
    """Build with Cargo, in the cache since Cargo writes its lock beside the manifest."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NotAvailable("Rust is not here: cargo is not on the path.")
    package = cache / "rust"
    # With their times, by which Cargo knows that there is nothing to do.
    shutil.copytree(HERE, package, ignore=shutil.ignore_patterns("*.py", "__pycache__"), dirs_exist_ok=True)
    log = package / "build.log"
    with log.open("w") as output:
        build = [cargo, "build", "--release", "--target-dir", str(package / "target")]
        built = subprocess.run(build, cwd=package, stdout=output, stderr=subprocess.STDOUT, check=False)
    if built.returncode:
        raise NotAvailable(f"The Rust program did not build; the reason is in {log}.")
    crates = tomllib.loads((package / "Cargo.lock").read_text())["package"]
    locked = {crate["name"]: crate["version"] for crate in crates}
    librdkafka = locked["rdkafka-sys"].partition("+")[2]
    return {"rdkafka": locked["rdkafka"], "librdkafka": librdkafka, "sonic-rs": locked["sonic-rs"]}


def command(manner: str) -> Callable[[Job, Path], list[str]]:
    """How a run is started that decodes in this manner."""

    def one_run(job: Job, cache: Path) -> list[str]:
        program = cache / "rust" / "target" / "release" / "ceiling"
        return [str(program), job.bootstrap, job.topic.name, job.output, str(job.result), manner]

    return one_run


CONTENDERS: Final = [
    Contender(
        name="rust",
        title="Rust: librdkafka, sonic-rs, sets",
        prepare=prepare,
        command=command("strict"),
        quick=True,
        remark="the ceiling: two threads; validates all of a document, but a deeply nested one ends it",
    ),
    Contender(
        name="rust-early",
        title="Rust: librdkafka, sonic-rs, early exit",
        prepare=prepare,
        command=command("early"),
        remark="validates nothing: only for what is known to be JSON; the first of duplicate keys counts",
    ),
]
