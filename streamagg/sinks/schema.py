"""The JSON Schema of what is published, as it is packed with the program."""

import re
from importlib.resources import files
from typing import Any, Final

import orjson

from streamagg.errors import SettingsError

RECORDS: Final = (
    "window",
    "group",
    "period",
    "period_group",
    "running",
    "running_group",
    "late",
    "dead_letter_headers",
)
"""What a schema can be asked for by name; the other definitions are parts of these."""
_REFERENCE: Final = re.compile(r"#/\$defs/(\w+)")


def schema(name: str | None = None) -> dict[str, Any]:
    """The schema of all published records, or of one kind; raises SettingsError for a kind that is none."""
    whole: dict[str, Any] = orjson.loads((files(__package__) / "published.schema.json").read_bytes())
    if name is None:
        return whole
    if name not in RECORDS:
        raise SettingsError(f"There is no record called {name}: choose one of {', '.join(RECORDS)}.")
    parts = whole["$defs"]
    used = _used(name, parts)
    return {
        "$schema": whole["$schema"],
        "$ref": f"#/$defs/{name}",
        "$defs": {part: parts[part] for part in parts if part in used},
    }


def _used(name: str, parts: dict[str, Any]) -> set[str]:
    """The definitions that one needs, itself too."""
    found, waiting = set[str](), {name}
    while waiting:
        part = waiting.pop()
        found.add(part)
        waiting |= set(_REFERENCE.findall(orjson.dumps(parts[part]).decode())) - found
    return found
