"""A store that a test fills and asks."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from streamagg.serve.records import parse
from streamagg.serve.store.reading import Reading
from streamagg.serve.store.store import Batch, Position, SketchRow, Store


def fill(
    store: Store,
    values: Iterable[bytes],
    sketches: Iterable[SketchRow] = (),
    positions: dict[Position, str] | None = None,
) -> None:
    """In one batch."""
    parsed = parse(values)
    assert parsed.unreadable == 0
    store.append(Batch(parsed.rows, list(sketches), positions or {}))


@contextmanager
def asking(store: Store) -> Iterator[Reading]:
    """One reading."""
    cursor = store.cursor()
    with store.reading(cursor) as reading:
        yield reading
    cursor.close()
