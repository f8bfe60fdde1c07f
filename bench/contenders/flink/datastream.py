"""The job of ``streamagg flink``, to the present end of a topic, in a cluster of its own process."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LOGGER = "org.apache.flink.runtime.taskmanager.Task"
LOGGED = re.compile(r"^(\d+) .* switched from \S+ to (RUNNING|FINISHED)\.$", re.MULTILINE)
"""With the milliseconds since Java began."""


def measured(log: str) -> float:
    """Seconds from the first running task to the last finished one."""
    moments: dict[str, list[int]] = {"RUNNING": [], "FINISHED": []}
    for when, state in LOGGED.findall(log):
        moments[state].append(int(when))
    return (max(moments["FINISHED"]) - min(moments["RUNNING"])) / 1_000


def java_home(scratch: Path, task_managers: str) -> str:
    """One whose Java adds a setting of Flink to the command line: ``streamagg flink`` has no flag for it."""
    home = os.environ.get("JAVA_HOME")
    real = f"{home}/bin/java" if home else shutil.which("java")
    java = scratch / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f'#!/bin/sh\nexec {real} "$@" minicluster.number-of-taskmanagers={task_managers}\n')
    java.chmod(0o700)
    return str(scratch)


def main() -> int:
    """Heap, TaskManagers, file of the result, empty directory, then flags of ``streamagg flink``."""
    heap, task_managers, result, scratch, *flags = sys.argv[1:]
    log = Path(scratch) / "flink.log"
    simple = "-Dorg.slf4j.simpleLogger"
    options = [f"-Xmx{heap}", f"{simple}.showDateTime=true", f"{simple}.log.{LOGGER}=info"]
    options.append(f"-Djava.io.tmpdir={scratch}")
    with log.open("wb") as words:
        job = subprocess.run(
            [sys.executable, "-m", "streamagg", "flink", "--local", "--until-end", *flags],
            env={
                **os.environ,
                "JAVA_TOOL_OPTIONS": " ".join(options),
                "JAVA_HOME": java_home(Path(scratch), task_managers),
            },
            stdout=subprocess.PIPE,
            stderr=words,
            check=False,
        )
    told = log.read_text(errors="replace")
    if job.returncode:
        sys.stderr.write(told)
        return job.returncode
    records = json.loads(job.stdout)["records_consumed_total"]
    Path(result).write_text(json.dumps({"records": records, "seconds": measured(told)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
