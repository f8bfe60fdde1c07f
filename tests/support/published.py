"""Published records held against their JSON Schema."""

from collections.abc import Iterable
from functools import cache

import orjson
from jsonschema_rs import Draft202012Validator

from streamagg.sinks.schema import schema


@cache
def validator(name: str | None = None) -> Draft202012Validator:
    """Of one kind of records, or of all; a schema that is none itself is an error."""
    return Draft202012Validator(schema(name))


def faults(value: object, name: str | None = None) -> list[str]:
    """What is wrong with a record."""
    return [error.message for error in validator(name).iter_errors(value)]


def check_published(values: Iterable[bytes], name: str | None = None) -> None:
    """All of them are as the schema says."""
    wrong = {value: found for value in values if (found := faults(orjson.loads(value), name))}
    assert wrong == {}
