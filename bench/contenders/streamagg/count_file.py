"""Run ``streamagg count`` on a file, in this process, and write what the benchmark wants to know."""

import argparse
import json
import os
import sys
from pathlib import Path

from streamagg.cli import execute


def main() -> int:
    """Parse the command line, count, write the result; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("result", type=Path)
    parser.add_argument("scratch", type=Path)
    given, flags = parser.parse_known_args()
    printed, stats = given.scratch / "counts.jsonl", given.scratch / "stats.json"
    os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT), sys.stdout.fileno())
    code = execute(
        ["count", given.file, "--unmarshallers", "2", "--format", "jsonl", "--stats-json", str(stats), *flags]
    )
    if code:
        return code
    records = json.loads(stats.read_bytes())["records"]
    given.result.write_text(json.dumps({"records": records, "rows": str(printed)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
