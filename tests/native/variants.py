"""The ways in which the modules are built and tested, and what each needs."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.native.build import build, link_package, run

DECODE: Final = ("tests/unit/test_decode.py", "tests/unit/test_decode_native.py")
CSV: Final = ("tests/unit/test_csv.py",)
STEPPER: Final = ("tests/unit/test_partition_clock.py::test_c_and_python_say_the_same",)
LOG: Final = ("tests/unit/test_fetcher_log.py",)
EVERYTHING: Final = (
    *DECODE,
    *STEPPER,
    *CSV,
    *LOG,
    "tests/unit/test_fetcher.py",
    "tests/unit/test_extensions.py",
)
TRACEABLE: Final = ("-g", "-fno-omit-frame-pointer")


@dataclass(frozen=True, slots=True)
class Variant:
    """A compiler of this machine, and what is tested of what it builds."""

    compiler: str
    tests: tuple[str, ...]
    flags: tuple[str, ...] = ()
    runtime: str | None = None
    """The library of a sanitizer, which has to be loaded before everything else."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def test(self, directory: Path, arguments: list[str]) -> int:
        """The exit code of an interpreter with modules made in this way; raises BuildFailed."""
        build(directory, self.compiler, self.flags)
        link_package(directory)
        environment = dict(self.environment)
        if self.runtime:
            environment["LD_PRELOAD"] = _printed(self.compiler, f"-print-file-name={self.runtime}")
        return run(directory, [sys.executable], arguments, environment)


VARIANTS: Final = {
    "clang": Variant("clang", EVERYTHING),
    "address": Variant(
        "gcc",
        EVERYTHING,
        ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", *TRACEABLE),
        "libasan.so",
        {
            # CPython keeps what it allocates once; its own allocator would hide what lies behind an object.
            "ASAN_OPTIONS": "detect_leaks=0:hard_rss_limit_mb=4096",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
        },
    ),
    # librdkafka starts its threads by C11's thrd_create, which this sanitizer does not know and dies of. What
    # they share with the interpreter, the log, is tested with threads of the test.
    "thread": Variant(
        "gcc", LOG, ("-fsanitize=thread", *TRACEABLE), "libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1"}
    ),
}


def _printed(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
