"""The OpenAPI document, made of the same tables by which questions are read."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import orjson

from streamagg import __version__
from streamagg.serve.api.endpoints import ENDPOINTS, Endpoint
from streamagg.serve.api.parameters import CALENDAR, CURSOR, GROUP_PARAMETER, Parameter

LIVE_PARAMETERS: Final = (
    Parameter(
        CALENDAR.name,
        "window, or a calendar, again and again: only these are told; all by default.",
        {"type": "string"},
        CALENDAR.parse,
        repeated=True,
    ),
    GROUP_PARAMETER,
)
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_ERRORS: Final[Mapping[str, str]] = {
    "400": "A parameter is missing, unknown or malformed.",
    "401": "A token is needed.",
    "406": "There is no such form of the answer.",
    "408": "The request did not come in time.",
    "422": "There is no answer to this question here; the text says why.",
    "431": "The headers are too large.",
    "503": "Too many questions at once, or one that takes too long: again after Retry-After.",
}


@cache
def document() -> bytes:
    """As JSON."""
    return orjson.dumps(_document()) + b"\n"


def _document() -> dict[str, Any]:
    paths = {endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS}
    paths["/v1/live"] = {"get": _live()}
    paths["/v1/status"] = {"get": _plain("status", "What is stored, and how far behind it is.", "Status")}
    paths["/livez"] = {"get": _health("livez", "Whether it is alive.")}
    paths["/readyz"] = {"get": _health("readyz", "Whether answers are up to date.")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "streamagg serve",
            "version": __version__,
            "summary": "What was counted, and the users of any range.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _SCHEMAS,
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    name = endpoint.path.rpartition("/")[2]
    content: dict[str, Any] = {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{name.capitalize()}"}}
    }
    headers = {"ETag": _TEXT_HEADER} | ({"Link": _TEXT_HEADER} if CURSOR in endpoint.parameters else {})
    if endpoint.tabular:
        content |= {"text/csv": {"schema": {"type": "string"}}, "application/vnd.apache.arrow.stream": {}}
    return {
        "operationId": name,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint.parameters),
        "responses": {
            "200": {"description": "The answer.", "headers": headers, "content": content},
            "304": {"description": "It is what If-None-Match has."},
            **_errors(),
        },
    }


def _parameters(parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    return [
        {
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.help,
            "schema": {"type": "array", "items": parameter.schema}
            if parameter.repeated
            else parameter.schema,
        }
        for parameter in parameters
    ]


def _live() -> dict[str, Any]:
    return {
        "operationId": "live",
        "summary": "What is published, as it is published: server-sent events window, period, running, reset,"
        " dropped.",
        "parameters": [
            *_parameters(LIVE_PARAMETERS),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The last event that a client has: it gets what came since.",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "200": {
                "description": "Events, without an end.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **_errors(),
        },
    }


def _plain(name: str, summary: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": "The answer.", "content": content}, **_errors()},
    }


def _health(name: str, summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [{}],
        "responses": {
            "200": {"description": "It is.", "content": content},
            "503": {"description": "It is not; the reasons say why.", "content": content},
        },
    }


def _errors() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {status: {"description": text, "content": content} for status, text in _ERRORS.items()}


def _object(
    properties: Mapping[str, Any], optional: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    return {"type": "object", "properties": {**properties, **optional}, "required": list(properties)}


_TEXT_HEADER: Final = {"schema": {"type": "string"}}
_NUMBER: Final = {"type": "number"}
_MAYBE_NUMBER: Final = {"type": ["number", "null"]}
_GROUP: Final = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}}
_RECORD: Final = {
    "type": "object",
    "description": "A record as it was published (docs/output.md).",
    "properties": {
        "ts": _NUMBER,
        "records": {"type": "integer"},
        "cnt": {"type": "integer"},
        "group": _GROUP,
    },
    "required": ["ts", "records"],
}
_RANGE: Final = {"from": _NUMBER, "to": _NUMBER, "confidence": _NUMBER}
_COUNTED: Final = {
    "users": {"type": ["integer", "null"]},
    "low": {"type": "integer"},
    "high": {"type": "integer"},
    "exact": {"type": "boolean"},
    "complete": {"type": "boolean"},
    "partial": {"type": "boolean"},
    "tiles": {"type": "integer"},
}
_EXPLAIN: Final = {"explain": {"$ref": "#/components/schemas/Explain"}}
"""Of answers to which ``explain=true`` adds it."""
_SCHEMAS: Final[dict[str, Any]] = {
    "Problem": _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        }
    ),
    "Record": _RECORD,
    "Explain": _object(
        {
            "segments": {"type": "integer"},
            "segments_read": {"type": "integer"},
            "milliseconds": _NUMBER,
        }
    ),
    "Windows": _object(
        {
            "windows": {"type": "array", "items": {"$ref": "#/components/schemas/Record"}},
            "next": {"type": ["string", "null"]},
        },
        _EXPLAIN,
    ),
    "Series": _object(
        {
            "from": _NUMBER,
            "to": _NUMBER,
            "calendar": {"type": "string"},
            "how": {"type": "string"},
            "group": _GROUP,
            "series": {
                "type": "object",
                "additionalProperties": _object(
                    {
                        "ts": {"type": "array", "items": _NUMBER},
                        "values": {"type": "array", "items": _MAYBE_NUMBER},
                    }
                ),
            },
        },
        _EXPLAIN,
    ),
    "Users": _object({**_RANGE, "group": _GROUP, **_COUNTED}, _EXPLAIN),
    "Retention": _object(
        {
            **_RANGE,
            "cohort": {"type": "string"},
            "group": _GROUP,
            "cohorts": {
                "type": "array",
                "items": _object(
                    {
                        "from": _NUMBER,
                        "to": _NUMBER,
                        "retained": {"type": "array", "items": _object(_COUNTED)},
                    }
                ),
            },
        },
        _EXPLAIN,
    ),
    "Top": _object(
        {
            **_RANGE,
            "by": {"type": "string"},
            "order": {"type": "string"},
            "top": {
                "type": "array",
                "items": _object(
                    {"value": {"type": ["string", "null"]}, "records": {"type": "integer"}, **_COUNTED},
                    {"number": _MAYBE_NUMBER},
                ),
            },
            "values": {"type": "integer"},
            "complete": {"type": "boolean"},
            "groups_left_out": {"type": "boolean"},
        },
        _EXPLAIN,
    ),
    "Calendar": _object(
        {
            "oldest": _NUMBER,
            "freshest": _NUMBER,
            "end": _NUMBER,
            "length": _NUMBER,
            "measures": {"type": "array", "items": {"type": "string"}},
            "segments": {"type": "integer"},
        }
    ),
    "Run": _object(
        {
            "since": _NUMBER,
            "consumed": {"type": "integer"},
            "late": {"type": "integer"},
            "rejected": {"type": "integer"},
        }
    ),
    "Status": _object(
        {
            "version": {"type": "string"},
            "following": {"type": "boolean"},
            "trouble": {"type": ["string", "null"]},
            "behind": {"type": ["integer", "null"]},
            "records": {"type": "integer"},
            "unreadable": {"type": "integer"},
            "calendars": {
                "type": "object",
                "additionalProperties": {"$ref": "#/components/schemas/Calendar"},
            },
            "group_by": {"type": "array", "items": {"type": "string"}},
            "groups": {"type": "integer"},
            "running": {"type": "array", "items": {"$ref": "#/components/schemas/Record"}},
            "run": {"oneOf": [{"$ref": "#/components/schemas/Run"}, {"type": "null"}]},
            "store_bytes": {"type": "integer"},
            "live_clients": {"type": "integer"},
            "questions": {"type": "integer"},
        }
    ),
    "Health": {
        "type": "object",
        "properties": {"reasons": {"type": "array", "items": {"type": "string"}}},
        "required": ["reasons"],
    },
}
