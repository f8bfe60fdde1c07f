"""The floor: read everything, look at nothing."""

import sys
from collections.abc import Callable
from pathlib import Path

from bench.contender import Contender, Job
from bench.environment import own_versions


def _versions(cache: Path) -> dict[str, str]:
    return own_versions("confluent-kafka")


def _read(processes: int) -> Callable[[Job, Path], list[str]]:
    def command(job: Job, cache: Path) -> list[str]:
        flags = ["--bootstrap-servers", job.bootstrap, "--processes", str(processes)]
        return [sys.executable, "-m", "bench.contenders.bare.read", job.topic.name, str(job.result), *flags]

    return command


def _decode(job: Job, cache: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "bench.contenders.bare.decode_file"),
        *(str(job.topic.file), str(job.result)),
    ]


CONTENDERS = [
    Contender(
        name="bare-2",
        title="bare read, 2 processes",
        prepare=_versions,
        command=_read(2),
        everywhere=True,
        counts=False,
        quick=True,
        remark="confluent-kafka with the client settings of streamagg; looks at nothing",
    ),
    Contender(
        name="bare-1",
        title="bare read, 1 process",
        prepare=_versions,
        command=_read(1),
        counts=False,
        remark="the same in one process",
    ),
    Contender(
        name="decode-file",
        title="decode the file only, 2 processes",
        prepare=_versions,
        command=_decode,
        reads="file",
        everywhere=True,
        counts=False,
        quick=True,
        remark="the decoder of streamagg on halves of the file, start and end of the process included",
    ),
]
