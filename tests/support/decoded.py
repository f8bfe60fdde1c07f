"""What became of payloads, record by record, whatever the settings want of them."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from xxhash import xxh3_64_intdigest

from streamagg.decode import Decoded, Decoder
from streamagg.decode.patient import Verdict
from streamagg.model.columns import GROUP_COLUMN, USER_COLUMN, hash_column, number_column, schema_of
from streamagg.model.settings import DecodeSettings
from streamagg.tools.recount import Event


class Row(NamedTuple):
    """An accepted record."""

    time_ms: int
    user: int | None = None
    """Its hash; None where no users are counted."""
    group: bytes | None = None
    """The text; None where there are no groups."""
    values: tuple[tuple[str, float | int], ...] = ()
    """By column, those that are there."""
    ignored: tuple[str, ...] = ()
    """Columns whose value was ignored, ascending."""


Outcome = Row | str
"""What was read of a record, or why it is rejected."""


def rows_of(decoded: Decoded, settings: DecodeSettings) -> list[Outcome]:
    """What became of each payload; values that are ignored are not known by record."""
    names = ("time_ms", *schema_of(settings).names)
    texts = dict(zip(decoded.groups.id_column.tolist(), decoded.groups.texts(), strict=True))
    assert len(texts) == len(decoded.groups)
    places: dict[int, Outcome] = dict(decoded.rejected)
    columns = zip(*(column.tolist() for column in (decoded.event_time_ms, *decoded.columns)), strict=True)
    for place, cells in zip(decoded.index.tolist(), columns, strict=True):
        places[place] = _row(dict(zip(names, cells, strict=True)), texts, ())
    assert sorted(places) == list(range(len(decoded.index) + len(decoded.rejected)))
    return [places[place] for place in sorted(places)]


def decode_rows(
    decoder: Decoder, payloads: Sequence[bytes | None], settings: DecodeSettings
) -> list[Outcome]:
    """The same with what is ignored of each record, which has to be what is ignored of all of them."""
    decoded = decoder.decode(payloads)
    outcomes = rows_of(decoded, settings)
    if not settings.measures:
        assert decoded.ignored == {}
        return outcomes
    total = Counter[str]()
    for place, outcome in enumerate(outcomes):
        alone = decoder.decode([payloads[place]])
        assert set(alone.ignored.values()) <= {1}
        total.update(alone.ignored)
        if isinstance(outcome, Row):
            outcomes[place] = outcome._replace(ignored=tuple(sorted(alone.ignored)))
    assert decoded.ignored == total
    return outcomes


def row_of(verdict: Verdict, settings: DecodeSettings) -> Outcome:
    """What the patient reader says, in the same way."""
    if isinstance(verdict, str):
        return verdict
    names = ("time_ms", *schema_of(settings).names)
    cells = dict(zip(names, verdict.row, strict=True))
    texts = {} if verdict.group is None else {cells[GROUP_COLUMN]: verdict.group}
    return _row(cells, texts, verdict.ignored)


def row_of_event(event: Event, settings: DecodeSettings) -> Row:
    """What the recount says, in the same way; it goes by measures where decoders go by columns."""
    columns = {
        measure.name: (hash_column if measure.op == "uniques" else number_column)(measure.path)
        for measure in settings.measures
    }
    values = {
        columns[measure.name]: _hash(value, settings) if isinstance(value, str) else value
        for measure, value in zip(settings.measures, event.values, strict=True)
        if value is not None
    }
    return Row(
        event.time_ms,
        None if event.user is None else _hash(event.user, settings),
        orjson.dumps(event.group) if event.group else None,
        tuple(values.items()),
        tuple(sorted({columns[name] for name in event.ignored})),
    )


def _hash(text: str, settings: DecodeSettings) -> int:
    return xxh3_64_intdigest(text.encode(), settings.hash_seed)


def _row(cells: dict[str, Any], texts: dict[Any, bytes], ignored: tuple[str, ...]) -> Row:
    values = tuple(
        (name, value)
        for name, value in cells.items()
        if ":" in name and not (math.isnan(value) or (name.startswith("hash:") and value == 0))
    )
    group = texts[cells[GROUP_COLUMN]] if GROUP_COLUMN in cells else None
    return Row(cells["time_ms"], cells.get(USER_COLUMN), group, values, tuple(sorted(ignored)))
