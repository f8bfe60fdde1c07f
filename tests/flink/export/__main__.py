"""``python -m tests.flink.export DIRECTORY``"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from tests.flink.export.clocks import clocks
from tests.flink.export.decoding import decoding
from tests.flink.export.jobs import jobs
from tests.flink.export.numbers import numbers
from tests.flink.export.periods import periods
from tests.flink.export.windows import late, windows

FILES: Final[dict[str, Callable[[], Iterator[dict[str, Any]]]]] = {
    "clocks": clocks,
    "decoding": decoding,
    "jobs": jobs,
    "late": late,
    "numbers": numbers,
    "periods": periods,
    "windows": windows,
}


def main(directory: Path) -> None:
    """Write all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, lines in FILES.items():
        with (directory / f"{name}.jsonl").open("wb") as file:
            file.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
