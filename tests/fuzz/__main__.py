"""Fuzzes the decoder, or the reader of CSV: ``python -m tests.fuzz [--seconds N] [--seed N] [--target csv]``.

``--replay FILE`` judges what was found again.
"""

import argparse
import random
import sys
from pathlib import Path

from tests.fuzz import watch
from tests.fuzz.child import TARGETS

DIRECTORY = Path(".streamagg/fuzz")


def main() -> int:
    """The exit code: 1 if something is wrong with a document."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="makes the same documents again")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="judge only the documents of this file")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where what is found is kept")
    parser.add_argument("--memory-mb", type=int, default=watch.MEMORY_MB, help="of a child; 0: no limit")
    parser.add_argument("--target", choices=sorted(TARGETS), default="json", help="what is read")
    chosen = parser.parse_args()
    command = watch.child_command(chosen.memory_mb, chosen.target)
    if chosen.replay:
        wrong = watch.replay(chosen.replay, command)
        print(wrong or "nothing is wrong")
        return int(bool(wrong))
    chosen.directory.mkdir(parents=True, exist_ok=True)
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}, {chosen.seconds:g} s", flush=True)
    hunt = watch.run(chosen.directory, seed, chosen.seconds, command)
    _print(hunt, chosen.target)
    return int(bool(hunt.findings))


def _print(hunt: watch.Hunt, target: str) -> None:
    rate = hunt.documents / hunt.seconds if hunt.seconds else 0.0
    print(f"{hunt.documents:,} documents, {rate:,.0f} a second, at most {hunt.peak_rss_mb:,} MB of memory")
    for outcome, count in hunt.outcomes.most_common():
        print(f"  {outcome:<14} {count:>12,}")
    print(f"{len(hunt.findings)} differences, crashes or hangs")
    for finding in hunt.findings:
        again = f"{sys.executable} -m tests.fuzz --target {target} --replay {finding.path}"
        print(f"\n{finding.what}\nagain: {again}")


if __name__ == "__main__":
    sys.exit(main())
