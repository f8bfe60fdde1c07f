"""Builds the parts in C in other ways and tests them: ``python -m tests.native NAME``, or ``warnings``."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from tests.native import arm64
from tests.native.build import DIRECTORY, BuildFailed, build
from tests.native.variants import VARIANTS
from tests.support.environment import CI as IN_CI

DEBIAN: Final = {
    "gcc": "gcc libc6-dev",
    "clang": "clang",
    arm64.COMPILER: "gcc-aarch64-linux-gnu",
    arm64.EMULATOR: "qemu-user",
}
"""Packages of the programs that are needed."""
# What a sanitizer says is not the output of a test.
PYTEST: Final = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--capture=sys")


def main(names: list[str]) -> int:
    """The exit code: that of the tests, or 1 if something was not built or, with ``CI=true``, is missing."""
    match names:
        case ["warnings"]:
            return max(map(_warnings, ("gcc", "clang")))
        case ["arm64"]:
            work = partial(arm64.test, [*PYTEST, *arm64.TESTS])
            return _with_programs([arm64.COMPILER, arm64.EMULATOR], work)
        case [name] if name in VARIANTS:
            variant = VARIANTS[name]
            work = partial(variant.test, DIRECTORY / name, [*PYTEST, *variant.tests])
            return _with_programs([variant.compiler], work)
    raise SystemExit(f"one of: {' '.join(VARIANTS)} arm64 warnings")


def _warnings(compiler: str) -> int:
    """The exit code: 1 if the compiler has any, which it prints."""

    def work() -> int:
        build(DIRECTORY / f"warnings-{compiler}", compiler)
        return 0

    return _with_programs([compiler], work)


def _with_programs(programs: list[str], work: Callable[[], int]) -> int:
    """The exit code of the work, where there are these programs; says so in capitals where there are not."""
    for program in programs:
        if shutil.which(program) is None:
            print(
                f"NOT TESTED: {program} is not there (Debian: apt install {DEBIAN[program]})", file=sys.stderr
            )
            return int(IN_CI)
    try:
        return work()
    except (BuildFailed, subprocess.CalledProcessError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
