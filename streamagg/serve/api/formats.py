"""Answers as JSON, CSV and Arrow, whichever is asked for."""

import csv
import io
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any, Final

import orjson

from streamagg.http.problems import JSON, Problem
from streamagg.serve.api.endpoints import Result

CSV: Final = b"text/csv; charset=utf-8; header=present"
ARROW: Final = b"application/vnd.apache.arrow.stream"
_KINDS: Final = {"application/json": JSON, "text/csv": CSV, ARROW.decode(): ARROW}


def wanted(accept: bytes | None, tabular: bool) -> bytes:
    """The kind that an Accept header likes best, JSON where it does not care. Raises Problem (406)."""
    kinds = _KINDS if tabular else {"application/json": JSON}
    for name in _liked((accept or b"*/*").decode("latin-1")):
        for kind, found in kinds.items():
            if name in ("*/*", kind, kind.partition("/")[0] + "/*"):
                return found
    raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"There is {', '.join(kinds)} here.")


def _liked(accept: str) -> Iterator[str]:
    """Names of kinds, those with the highest quality first; none that are refused."""
    found = []
    for place, entry in enumerate(accept.split(",")):
        name, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            found.append((-float(quality), place, name.lower()))
        except ValueError:
            continue
    return (name for quality, _, name in sorted(found) if quality < 0)


def rendered(result: Result, kind: bytes) -> bytes:
    """The bytes of an answer. Raises Problem (406) where a package is missing."""
    if kind == JSON:
        return orjson.dumps(result.body) + b"\n"
    rows = [_flat(row) for row in result.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _csv(rows, names) if kind == CSV else _arrow(rows, names)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """With a column for each field of a group."""
    if "group" not in row:
        return row
    group = {f"group.{name}": value for name, value in (row["group"] or {}).items()}
    return {**group, **{name: value for name, value in row.items() if name != "group"}}


def _csv(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    """By RFC 4180; nothing where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _arrow(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    """The streaming format, one batch."""
    if find_spec("pyarrow") is None:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE,
            "Arrow needs the package pyarrow on this server: pip install 'streamagg[parquet]'. There is"
            " JSON and CSV.",
        )
    import pyarrow as pa  # type: ignore[import-untyped]

    columns = {name: _column([row.get(name) for row in rows], pa) for name in names}
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _column(values: list[Any], pa: Any) -> Any:
    """Whole numbers and others in one column are float64."""
    if any(isinstance(value, float) for value in values):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values)
