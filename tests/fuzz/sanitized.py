"""Fuzzes with the decoder in C built for the sanitizers for addresses and undefined behaviour.

``python -m tests.fuzz.sanitized [flags of tests.fuzz]``. Needs gcc with libasan and libubsan.
"""

import sys

from tests.native.build import DIRECTORY, ROOT, BuildFailed
from tests.native.variants import VARIANTS

# Sanitizers reserve more address space than a limit could allow.
FUZZ = ["-m", "tests.fuzz", "--memory-mb", "0", "--directory", str(ROOT / ".streamagg/fuzz")]

if __name__ == "__main__":
    try:
        sys.exit(VARIANTS["address"].test(DIRECTORY / "fuzz", [*FUZZ, *sys.argv[1:]]))
    except BuildFailed as error:
        sys.exit(f"FAILED: {error}")
