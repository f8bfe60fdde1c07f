"""Builds the decoder in C with the sanitizers for addresses and undefined behaviour, and fuzzes with it.

``python -m tests.fuzz.sanitized [flags of tests.fuzz]``. The package is linked into a directory of its own
with the module built for it there; the installed one is left as it is. Needs gcc with libasan and libubsan.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DIRECTORY: Final = ROOT / ".streamagg" / "sanitized"
MODULE: Final = Path("streamagg/decode/_scanner.abi3.so")
SANITIZERS: Final = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILER: Final = "gcc"


def build(directory: Path) -> None:
    """Link the package and the fuzzer into a directory, and build the decoder there."""
    for source in [*(ROOT / "streamagg").rglob("*.py"), *ROOT.glob("streamagg/kafka/*.so"), *_tests()]:
        link = directory / source.relative_to(ROOT)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    flags = ["-O1", "-g", "-fno-omit-frame-pointer", "-ffp-contract=off", "-fno-math-errno"]
    subprocess.run(
        [
            *(COMPILER, *SANITIZERS, *flags, "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"),
            *("-DPy_LIMITED_API=0x030B0000", "-DPY_SSIZE_T_CLEAN"),
            *map(str, sorted(ROOT.glob("streamagg/decode/scanner/*.c"))),
            *("-lm", "-o", str(directory / MODULE)),
        ],
        check=True,
    )


def environment(directory: Path) -> dict[str, str]:
    """What a process needs to load the module: the runtime of the sanitizer before everything else."""
    asan = subprocess.run(
        [COMPILER, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return os.environ | {
        "PYTHONPATH": str(directory),
        "LD_PRELOAD": asan,
        # CPython keeps what it allocates once; its own allocator would hide what lies behind an object.
        "ASAN_OPTIONS": "detect_leaks=0:hard_rss_limit_mb=4096",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }


def _tests() -> list[Path]:
    return [
        *(ROOT / "tests/fuzz").glob("*.py"),
        ROOT / "tests/support/corpus.py",
        *(ROOT / "tests/conformance").iterdir(),
    ]


def main(arguments: list[str]) -> int:
    """The exit code of the fuzzer."""
    if shutil.which(COMPILER) is None:
        raise SystemExit(f"{COMPILER} is not there: the sanitizers are part of it")
    build(DIRECTORY)
    own_environment = environment(DIRECTORY)
    where = "from streamagg.decode import _scanner; print(_scanner.__file__)"
    loaded = subprocess.run(
        [sys.executable, "-c", where],
        cwd=DIRECTORY,
        env=own_environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if Path(loaded) != DIRECTORY / MODULE:
        raise SystemExit(f"not the module that was built for this, but {loaded}")
    # Sanitizers reserve more address space than a limit could allow.
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--memory-mb",
        "0",
        "--directory",
        str(ROOT / ".streamagg/fuzz"),
    ]
    return subprocess.run([*command, *arguments], cwd=DIRECTORY, env=own_environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
