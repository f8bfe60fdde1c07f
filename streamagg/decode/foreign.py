"""What a payload is if it is not a JSON document, by its first bytes and by how reading it fails.

Reveals nothing of its content.
"""

import json
from typing import Final

from streamagg.decode.formats import REGISTRY_BYTES, payload_format
from streamagg.decode.shape import parse
from streamagg.decode.wrapping import unwrapped
from streamagg.model.settings import Framing

_BLANKS: Final = b" \t\r\n"
_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}


def foreign(payload: bytes, framing: Framing) -> str:
    """What it is, in words, as far as can be determined."""
    if not payload.strip(_BLANKS):
        return "the records are empty"
    if (name := payload_format(payload)) is not None:
        return f"the records are {name}, and must be JSON in UTF-8"
    document = unwrapped(payload, framing)
    if document is None:
        return "the records have no five bytes of a schema registry before them, as --framing registry says"
    if document[:1] == b"\0" and len(document) > REGISTRY_BYTES:
        return "the records are JSON behind five bytes of a schema registry perhaps, see --framing"
    return _text(document)


def _text(document: bytes) -> str:
    text = document.decode("utf-8", "surrogateescape").strip()
    if not text.startswith("{") and not _is_utf8(document):
        return "the records are no text, and must be JSON in UTF-8"
    match text[:1]:
        case "{":
            return f"the records begin like JSON and are none: {_trouble(text)}"
        case "<":
            return "the records look like XML, and must be JSON"
        case "[" | '"' if (what := _wrapped(text)) is not None:
            return what
    for separator, word in _SEPARATORS.items():
        if text.count(separator) > 1:
            return f"the records are text with {word}, as CSV has it, and must be JSON objects"
    return "the records are text, and must be JSON objects"


def _is_utf8(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def _wrapped(text: str) -> str | None:
    """A document inside something else."""
    try:
        value = parse(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return "the records are JSON within a JSON string: encoded twice, by the producer perhaps"
    if isinstance(value, list):
        return f"the records are arrays (one of {len(value):,}), and must be one JSON object each"
    return None


def _trouble(text: str) -> str:
    try:
        parse(text)
    except json.JSONDecodeError as error:
        return _error(text, error)
    except RecursionError:
        return "they are nested too deeply"
    except ValueError as error:
        return str(error)
    return "they are nested too deeply, or hold text that is no UTF-8 or half a surrogate pair"


def _error(text: str, error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Extra data"):
        return "there is something behind the first object, a second one perhaps"
    if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
        return "they are cut off"
    if text[error.pos] == "'":
        return "they have single quotes, as Python prints them"
    what = error.msg.partition(":")[0].removesuffix(" at")
    return f"{what[:1].lower()}{what[1:]}, at character {error.pos + 1:,}"
