"""Count a file of JSON lines with one of the engines.

``python from_file.py MODULE FILE RESULT ROWS WORK``
"""

import json
import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Count, then say where the rows are."""
    module, file, result, rows, work = sys.argv[1:]
    import_module(module).count_file(file, rows, work)
    Path(result).write_text(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
