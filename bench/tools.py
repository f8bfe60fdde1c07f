"""What single parts take: decoding, unique users, generating, replaying: ``python -m bench.tools``.

Writes ``bench/results/tools.json``; with ``--quick`` it takes a tenth of the records and writes nothing.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import orjson

from bench import uniques
from bench.scratch import DIRECTORY, Site, main_of, succeed, verb
from bench.topics import Told
from streamagg.decode import Decoder
from streamagg.decode.patient import PatientReader
from streamagg.model.settings import DecodeSettings
from streamagg.tools.generate import GenerateSettings, records

SIZES: Final = (2_200, 180)
PAYLOADS: Final = 20_000
BATCH: Final = 2_000
REPEATS: Final = 7
RECORDS: Final = 1_000_000
ROUNDS: Final = 3


def microseconds(decode: Callable[[list[bytes | None]], object], payloads: list[bytes | None]) -> float:
    """Least time a record of several repetitions, in batches."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for start in range(0, len(payloads), BATCH):
            decode(payloads[start : start + BATCH])
        best = min(best, time.perf_counter() - began)
    return best / len(payloads) * 1e6


def decoding() -> list[dict[str, Any]]:
    """µs a record of each reader."""
    settings = DecodeSettings()
    patient = PatientReader(settings)
    readers: dict[str, Callable[[list[bytes | None]], object]] = {
        "reader in C": Decoder(settings, native=True).decode,
        "strict reader (msgspec)": Decoder(settings, native=False).decode,
        "patient reader": lambda payloads: [patient.read(payload or b"") for payload in payloads],
        "orjson.loads alone": lambda payloads: [orjson.loads(payload or b"") for payload in payloads],
    }
    made = {
        size: [*chain.from_iterable(records(GenerateSettings(PAYLOADS, size_bytes=size)))] for size in SIZES
    }
    return [
        {"reader": name, **{str(size): microseconds(read, [*made[size]]) for size in SIZES}}
        for name, read in readers.items()
    ]


def timed(command: Sequence[str], log: Path) -> float:
    """Seconds a command takes from its start to its end; raises RunFailed."""
    # What was written before is not still on its way to the disk meanwhile.
    os.sync()
    return succeed(verb(*command), log).wall_seconds


def tools(place: Site, count: int, file: Path) -> list[dict[str, Any]]:
    """Records a second of generate and replay, from start to end of the process, in turn."""
    log = place.directory / "tools.log"
    rates: dict[str, list[float]] = {"generate, into a file": [], "replay, 4 partitions": []}
    for _ in range(ROUNDS):
        seconds = timed(["generate", "--count", str(count), "-o", str(file)], log)
        rates["generate, into a file"].append(count / seconds)
        with place.topics(4) as (topic,):
            command = ["replay", str(file), "--topic", topic, "--bootstrap-servers", place.bootstrap]
            rates["replay, 4 partitions"].append(count / timed(command, log))
    file.unlink()
    return [
        {"tool": name, "records_per_second": statistics.median(each), "runs": each}
        for name, each in rates.items()
    ]


def measure(place: Site, quick: bool, _: Told) -> dict[str, Any]:
    """Programs, decoders and sets."""
    return {
        "tools": tools(place, RECORDS // 10 if quick else RECORDS, DIRECTORY / "tools.jsonl"),
        "decoding": decoding(),
        "uniques": uniques.measure_all(),
    }


if __name__ == "__main__":
    sys.exit(main_of("tools", __doc__, measure))
