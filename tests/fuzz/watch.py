"""Runs children, finds out what they died of or hang in, and adds up what they say."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fuzz.cases import load, save
from tests.fuzz.child import BATCH_FILE, FOUND_FILE

MEMORY_MB: Final = 2_048
ROUND_S: Final = 30.0
"""How long one child works; the next one begins with memory that is fresh."""
PATIENCE_S: Final = 60.0
"""How much longer than it should a child may take: a batch takes milliseconds."""

Command = Callable[[Path, str, float], list[str]]


@dataclass(frozen=True)
class Finding:
    """A document with which something is wrong."""

    path: Path
    what: str


@dataclass
class Hunt:
    """What all children together have done."""

    documents: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    peak_rss_mb: int = 0
    findings: list[Finding] = field(default_factory=list)


def child_command(memory_mb: int = MEMORY_MB, target: str = "json") -> Command:
    """The command of a child: what it hunts in, seed or file, seconds."""
    return lambda directory, what, seconds: [
        *(sys.executable, "-m", "tests.fuzz.child"),
        *(str(directory), what, str(seconds), str(memory_mb), target),
    ]


def run(
    directory: Path, seed: int, seconds: float, command: Command, *, patience_s: float = PATIENCE_S
) -> Hunt:
    """Hunt for so long, or until something is found; what is found is written into the directory."""
    hunt = Hunt()
    for number, share in enumerate(_shares(seconds)):
        said = _run(command(directory, f"{seed}-{number}", share), share + patience_s)
        if isinstance(said, str):
            hunt.findings.append(_narrow(directory, said, command, patience_s))
            return hunt
        hunt.documents += said["documents"]
        hunt.seconds += said["seconds"]
        hunt.outcomes.update(said["outcomes"])
        hunt.peak_rss_mb = max(hunt.peak_rss_mb, said["peak_rss_mb"])
        if said["difference"]:
            hunt.findings.append(Finding(directory / FOUND_FILE, said["difference"]))
            return hunt
    return hunt


def replay(path: Path, command: Command, *, patience_s: float = PATIENCE_S) -> str | None:
    """Judge the documents of a file in a child; what is wrong, or None."""
    said = _run(command(path.parent, str(path), 0), patience_s)
    return said if isinstance(said, str) else said["difference"]


def _shares(seconds: float) -> Iterator[float]:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        yield min(ROUND_S, left)


def _run(command: list[str], limit_s: float) -> dict[str, Any] | str:
    """What a child printed, or how it ended."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return f"hangs: no end within {limit_s:g} s"
    if done.returncode:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        return f"died: {how}\n{done.stderr[-6_000:]}".rstrip()
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _narrow(directory: Path, how: str, command: Command, patience_s: float) -> Finding:
    """The one document of the last batch that does it alone, or the whole batch if none does."""
    batch = directory / BATCH_FILE
    if not batch.exists():
        return Finding(batch, f"{how} (before the first batch)")
    settings, payloads = load(batch)
    for payload in payloads:
        save(directory / FOUND_FILE, settings, [payload])
        wrong = replay(directory / FOUND_FILE, command, patience_s=patience_s)
        if wrong:
            return Finding(directory / FOUND_FILE, wrong)
    batch.replace(directory / FOUND_FILE)
    return Finding(directory / FOUND_FILE, f"{how}\nonly the whole batch does it")
