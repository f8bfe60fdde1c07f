"""The parameters of questions: how each is read, and how the OpenAPI document describes it."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from streamagg.http.problems import Problem
from streamagg.serve.questions.windows import Place
from streamagg.serve.times import zone

GROUP: Final = "group"
_GROUP_FIELD: Final = "group."
MOST_QUERY_BYTES: Final = 8 << 10
MOST_PARAMETERS: Final = 64
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of a query; ``parse`` raises ValueError with what would be valid, fit for "… must be <text>"."""

    name: str
    help: str
    schema: Mapping[str, object]
    parse: Callable[[str], object]
    required: bool = False
    repeated: bool = False


def read(query: bytes, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Values by name, those that are given only; ``group`` has what ``group.NAME`` says, too. Raises Problem
    (400)."""
    if len(query) > MOST_QUERY_BYTES:
        raise bad(f"A query has at most {MOST_QUERY_BYTES} bytes.")
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise bad(
            f"A query is made of at most {MOST_PARAMETERS} pairs NAME=VALUE, in UTF-8 and percent-encoded."
        ) from None
    known = {parameter.name: parameter for parameter in parameters}
    found: dict[str, Any] = {}
    fields: dict[str, str | None] = {}
    for name, text in pairs:
        if name.startswith(_GROUP_FIELD) and GROUP in known:
            _once(fields, name.removeprefix(_GROUP_FIELD), text, name)
        elif name not in known:
            raise bad(f"There is no parameter {_shown(name)} here; there are: {', '.join(known)}.")
        elif known[name].repeated:
            found.setdefault(name, []).append(_parsed(known[name], text))
        else:
            _once(found, name, _parsed(known[name], text), name)
    for parameter in parameters:
        if parameter.required and parameter.name not in found:
            raise bad(f"The parameter {parameter.name} is missing: {parameter.help}")
    if fields:
        found[GROUP] = {**found.get(GROUP, {}), **fields}
    return found


def bad(detail: str) -> Problem:
    """400."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def _once(found: dict[str, Any], name: str, value: object, shown: str) -> None:
    if name in found:
        raise bad(f"The parameter {_shown(shown)} is given twice.")
    found[name] = value


def _parsed(parameter: Parameter, text: str) -> object:
    try:
        return parameter.parse(text)
    except ValueError as error:
        raise bad(f"{parameter.name} = {_shown(text)} must be {error}.") from None


def _shown(text: str) -> str:
    """Short, and nothing that a terminal would act on."""
    return ascii(text if len(text) <= 80 else text[:80] + "…")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Of a range, both ends included."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError("one of " + ", ".join(words))
        return text

    return parse


def group(text: str) -> Mapping[str, str | None]:
    """An object of JSON: values of fields, null for none."""
    try:
        found = orjson.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        value is None or isinstance(value, str) for value in found.values()
    ):
        raise ValueError('an object such as {"country":"DE"}, each value a text or null')
    return found


def names(text: str) -> tuple[str, ...]:
    """Joined by commas."""
    found = tuple(text.split(","))
    if "" in found or len(set(found)) < len(found):
        raise ValueError("names joined by commas, each once")
    return found


def cursor(text: str) -> Place:
    """Where a page ended."""
    try:
        start, number = base64.urlsafe_b64decode(text.encode("ascii")).decode("ascii").split(" ")
        place = Place(int(start), int(number))
    except (ValueError, binascii.Error):
        raise ValueError("what the page before has under next") from None
    if not (0 <= place.group < 1 << 31 and abs(place.ts_ms) < 1 << 60):
        raise ValueError("what the page before has under next")
    return place


def cursor_text(place: Place) -> str:
    """The same for the next page."""
    return base64.urlsafe_b64encode(f"{place.ts_ms} {place.group}".encode()).decode()


def calendar(text: str) -> str:
    """Its name."""
    if not 0 < len(text) <= 64:
        raise ValueError("window, or the name of a calendar such as hour or day")
    return text


_TIME: Final = {
    "type": "string",
    "pattern": r"^(-([0-9]{1,9}(ms|s|m|h|d|w))+|[0-9]{1,12}(\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?)$",
    "examples": ["2026-01-31T12:00:00Z", "1468244400", "-7d"],
}
FROM: Final = Parameter(
    "from",
    "Begin of the range: ISO 8601, seconds since 1970, or a duration before its end such as -7d.",
    _TIME,
    str,
    required=True,
)
TO: Final = Parameter(
    "to",
    "End of the range, not part of it: a time, or a duration before the end of the freshest window, which it"
    " is by default.",
    _TIME,
    str,
)
TZ: Final = Parameter(
    "tz",
    "Time zone of times without one, such as Europe/Berlin; UTC by default. Where it is given, records tell"
    " their time by its clock, too.",
    {"type": "string", "examples": ["Europe/Berlin"]},
    zone,
)
CALENDAR: Final = Parameter(
    "calendar",
    "window, by default, or the calendar whose periods are asked for.",
    {"type": "string", "minLength": 1, "maxLength": 64, "default": "window"},
    calendar,
)
GROUP_PARAMETER: Final = Parameter(
    GROUP,
    'Values of the fields of a group as an object, such as {"country":"DE"}, null for no value.'
    " group.country=DE says the same. Without any it is all users together.",
    {"type": "string", "contentMediaType": "application/json", "examples": ['{"country":"DE"}']},
    group,
)
CURSOR: Final = Parameter(
    "cursor",
    "Where the page begins: what the page before has under next, and in its header Link.",
    {"type": "string"},
    cursor,
)
MEASURE: Final = Parameter(
    "measure",
    "Names of numbers, joined by commas: cnt, records, and measures. All by default.",
    {"type": "string"},
    names,
)
EXPLAIN: Final = Parameter(
    "explain",
    "true adds how much had to be read.",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    one_of("true", "false"),
)
