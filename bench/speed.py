"""How fast ``streamagg run`` is beside a bare read of the same topic: ``python -m bench.speed TOPIC``.

Each round reads the topic bare with two consumers, then counts it with streamagg into a fresh group and
output topic. Prints a row a run and the medians, and writes them all as JSON with ``--json FILE``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.bare_read import measure
from streamagg.settings import KafkaSettings


def count(bootstrap: str, topic: str, flags: list[str]) -> dict[str, Any]:
    """One bounded run of streamagg; what ``--stats-json`` wrote."""
    name = f"speed-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as directory:
        stats = Path(directory) / "stats.json"
        command = [sys.executable, "-m", "streamagg", "run", "--bootstrap-servers", bootstrap]
        command += ["--input", topic, "--output", name, "--group", name, "--until-end"]
        command += ["--stats-json", str(stats), "--log-level", "warning", *flags]
        subprocess.run(command, check=True, stderr=subprocess.PIPE)
        found: dict[str, Any] = json.loads(stats.read_bytes())
    return found


def main() -> None:
    """Parse the command line, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bootstrap-servers", default="127.0.0.1:19092")
    parser.add_argument("--json", type=Path)
    given, flags = parser.parse_known_args()
    kafka = KafkaSettings(given.bootstrap_servers)
    bare, counted, peaks = [], [], []
    table = Table("round", "bare read /s", "streamagg /s", "ratio", "memory MB")
    for number in range(given.rounds):
        bare.append(measure(kafka, given.topic, 2)["records_per_second"])
        stats = count(given.bootstrap_servers, given.topic, flags)
        counted.append(stats["records_per_second"])
        peaks.append(stats["peak_rss_bytes"] / 1e6)
        table.add_row(*_cells(str(number + 1), bare[-1], counted[-1], peaks[-1]))
    table.add_section()
    table.add_row(*_cells("median", *map(statistics.median, (bare, counted, peaks))))
    Console().print(table)
    if given.json is not None:
        given.json.write_text(json.dumps({"bare": bare, "streamagg": counted, "memory_mb": peaks}, indent=2))


def _cells(name: str, bare: float, counted: float, memory_mb: float) -> list[str]:
    return [name, f"{bare:,.0f}", f"{counted:,.0f}", f"{counted / bare:.2f}", f"{memory_mb:,.0f}"]


if __name__ == "__main__":
    main()
