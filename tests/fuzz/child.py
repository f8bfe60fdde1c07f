"""One process that makes documents and judges them, until its time is over or it dies of one.

``python -m tests.fuzz.child DIRECTORY SEED SECONDS MEMORY_MB TARGET``. Before a batch is judged it is written
to ``DIRECTORY/batch.json``, so that whoever watches this process knows what it died of or hangs in.
"""

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from streamagg.model.settings import DecodeSettings
from tests.fuzz.cases import load, save
from tests.fuzz.csv_files import CsvJudge, CsvMaker
from tests.fuzz.documents import Maker
from tests.fuzz.judge import Judge

BATCH: Final = 64
BATCH_FILE: Final = "batch.json"
FOUND_FILE: Final = "found.json"
TARGETS: Final = {"json": (Maker, Judge), "csv": (CsvMaker, CsvJudge)}
"""What is fuzzed: records, or files of CSV."""


class Tally(NamedTuple):
    """What a child prints at its end, as JSON."""

    documents: int
    seconds: float
    outcomes: dict[str, int]
    peak_rss_mb: int
    difference: str | None


def hunt(directory: Path, seed: str, seconds: float, target: str) -> Tally:
    """Judge documents until the time is over or opinions differ."""
    make, judging = TARGETS[target]
    maker, judges, counts = make(seed), dict[DecodeSettings, Judge | CsvJudge](), Counter[str]()
    began, documents = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        batch = maker.batch(BATCH)
        settings, payloads = batch[0].settings, [document.payload for document in batch]
        save(directory / BATCH_FILE, settings, payloads)
        judge = judges.setdefault(settings, judging(settings))
        counts.update(one if isinstance(one, str) else "accepted" for one in judge.outcomes(payloads))
        documents += len(payloads)
        for difference in judge.differences(payloads):
            save(directory / FOUND_FILE, settings, [difference.payload])
            return _tally(documents, began, counts, str(difference))
    return _tally(documents, began, counts, None)


def judge_file(path: Path, target: str) -> str | None:
    """The first difference about the documents of a file."""
    settings, payloads = load(path)
    return next((str(one) for one in TARGETS[target][1](settings).differences(payloads)), None)


def limit_memory(megabytes: int) -> None:
    """Of address space; 0 sets no limit, which sanitizers need."""
    if megabytes:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def _tally(documents: int, began: float, counts: Counter[str], difference: str | None) -> Tally:
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Tally(documents, time.monotonic() - began, dict(counts), peak_kb >> 10, difference)


def main(arguments: list[str]) -> None:
    """Hunt, or with the name of a file in the place of the seed judge only what it holds."""
    directory, what, seconds, megabytes, target = arguments
    limit_memory(int(megabytes))
    if Path(what).is_file():
        tally = _tally(0, time.monotonic(), Counter(), judge_file(Path(what), target))
    else:
        tally = hunt(Path(directory), what, float(seconds), target)
    print(json.dumps(tally._asdict()))


if __name__ == "__main__":
    main(sys.argv[1:])
