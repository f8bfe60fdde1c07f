"""Go in two shapes: kafka-go with channels as in 2020, and franz-go by hand."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job, NotAvailable

HERE: Final = Path(__file__).parent


def prepare(program: str, modules: list[str]) -> Callable[[Path], dict[str, str]]:
    """How one of the programs is built; ``modules`` are those whose versions matter."""

    def build(cache: Path) -> dict[str, str]:
        go = shutil.which("go")
        if go is None:
            raise NotAvailable("Go is not here: go is not on the path.")
        (cache / "go").mkdir(parents=True, exist_ok=True)
        log = cache / "go" / f"{program}.log"
        # Else an older Go would download a newer one.
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        with log.open("w") as output:
            built = subprocess.run(
                [go, "build", "-o", str(cache / "go" / program), f"./{program}"],
                cwd=HERE,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if built.returncode:
            raise NotAvailable(f"The Go program {program} did not build; the reason is in {log}.")
        go_version = subprocess.check_output([go, "env", "GOVERSION"], env=environment, text=True)
        return {"go": go_version.strip().removeprefix("go"), **_required(modules)}

    return build


def _required(modules: list[str]) -> dict[str, str]:
    """The versions of modules that go.mod asks for, by the last part of their names."""
    found = re.findall(r"^\s*\S*?([\w-]+) v(\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)
    return {name: version for name, version in found if name in modules}


def command(program: str, *manner: str) -> Callable[[Job, Path], list[str]]:
    """How a run of one of the programs is started."""

    def one_run(job: Job, cache: Path) -> list[str]:
        return [str(cache / "go" / program), job.bootstrap, job.topic.name, str(job.result), *manner]

    return one_run


CONTENDERS: Final = [
    Contender(
        name="go-ancestor",
        title="Go: kafka-go, encoding/json, channels, map per minute",
        prepare=prepare("ancestor", ["kafka-go"]),
        command=command("ancestor"),
        remark="the shape of the ancestor of 2020: every record crosses two channels",
    ),
    Contender(
        name="go-franz",
        title="Go: franz-go, sonic, sets",
        prepare=prepare("franz", ["franz-go", "sonic"]),
        command=command("franz", "strict"),
        remark="a decoding goroutine for every core; validates all of a document but lone surrogates",
    ),
    Contender(
        name="go-franz-early",
        title="Go: franz-go, sonic, early exit",
        prepare=prepare("franz", ["franz-go", "sonic"]),
        command=command("franz", "early"),
        remark="validates nothing; the first of duplicate keys counts",
    ),
]
