"""``python -m tests.flink.export DIRECTORY``"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from tests.flink.export.clocks import clocks
from tests.flink.export.decoding import decoding

FILES: Final[dict[str, Callable[[], Iterator[dict[str, Any]]]]] = {"decoding": decoding, "clocks": clocks}


def main(directory: Path) -> None:
    """Write all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, lines in FILES.items():
        with (directory / f"{name}.jsonl").open("wb") as file:
            file.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
