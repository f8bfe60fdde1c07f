"""Where results go, and how those who judge them read all of it."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg

from streamagg.sinks.postgres.schema import schema
from tests.chaos.watch import LookingWatch, TopicWatch, Watch
from tests.support.pipeline import read_all
from tests.support.postgres import Postgres

Records = list[tuple[bytes, bytes]]
"""Keys and values as a topic has them, in order of publication."""


class Output(ABC):
    """A place with its watch."""

    place: str
    """Of ``--output``."""
    watch: Watch

    @abstractmethod
    def records(self) -> Records:
        """All that is out; what came twice is there twice."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing running."""


class TopicOutput(Output):
    """A topic that is there."""

    def __init__(self, address: str, topic: str) -> None:
        self.place = topic
        self.watch = TopicWatch(address, topic)
        self._address = address

    def records(self) -> Records:
        return [(m.key() or b"", m.value() or b"") for m in read_all(self._address, self.place)]

    def close(self) -> None:
        """The broker is not its own."""


class DirectoryOutput(Output):
    """What a manifest names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = f"dir:{root}"
        self.watch = LookingWatch(self._keys)

    def records(self) -> Records:
        """Lines of JSON; raises AssertionError if the Parquet files hold anything else."""
        import pyarrow.parquet as parquet  # type: ignore[import-untyped] # it takes a third of a second

        rows: list[dict[str, Any]] = []
        for file in self._files("parquet"):
            rows += parquet.read_table(self.root / file["path"]).to_pylist()
        in_rows = Counter(
            (row["calendar"], row["ts"].timestamp(), row["cnt"], row["records"]) for row in rows
        )
        found = self._lines()
        values = [orjson.loads(value) for _, value in found]
        in_lines = Counter((v.get("calendar"), v["ts"], v["cnt"], v["records"]) for v in values)
        assert in_rows == in_lines, "Parquet files and lines differ"
        return found

    def close(self) -> None:
        """Nothing runs."""

    def _lines(self) -> Records:
        lines: list[bytes] = []
        for file in self._files("jsonl"):
            lines += (self.root / file["path"]).read_bytes()[: file["bytes"]].splitlines()
        return [(_key_of(line), line) for line in lines]

    def _keys(self) -> Iterable[bytes]:
        # Not there yet, or removed since by whoever has merged it.
        with suppress(FileNotFoundError):
            return [key for key, _ in self._lines()]
        return []

    def _files(self, kind: str) -> Iterator[dict[str, Any]]:
        days = json.loads((self.root / "manifest.json").read_bytes())["days"]
        return (file for day in sorted(days) for file in days[day][kind])


def _key_of(line: bytes) -> bytes:
    value = orjson.loads(line)
    return f"{value.get('calendar', '')} {value['ts']}".lstrip().encode()


NOTED: Final = """
    CREATE TABLE noted (number bigserial, key text, value json);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO noted (key, value) VALUES (
            ltrim(coalesce(NEW.calendar, '') || ' ' || extract(epoch FROM NEW.ts)::bigint),
            json_build_object('cnt', NEW.cnt, 'records', NEW.records)
        );
        RETURN NEW;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE ON streamagg_results FOR EACH ROW EXECUTE FUNCTION note();
"""
"""A row that is published again takes the place of the one before; this notes, in its transaction, both."""
_PATIENCE: Final = "connect_timeout=3"


class PostgresOutput(Output):
    """A server of its own, which may be killed and started again."""

    def __init__(self, home: Path | None = None) -> None:
        """``home``: of its data; None: anywhere."""
        self.server = Postgres(home=home)
        self.place = self.server.url()
        self.watch = LookingWatch(self._keys)
        try:
            self.server.start().run(schema(), NOTED)
        except BaseException:
            self.close()
            raise

    def records(self) -> Records:
        return [(key.encode(), orjson.dumps(value)) for key, value in self._ask()]

    def close(self) -> None:
        self.server.remove()

    def _keys(self) -> Iterable[bytes]:
        with suppress(psycopg.Error):
            return [key.encode() for key, _ in self._ask()]
        return []

    def _ask(self) -> list[tuple[str, Any]]:
        with psycopg.connect(self.server.url(parameters=_PATIENCE), autocommit=True) as connection:
            return connection.execute("SELECT key, value FROM noted ORDER BY number").fetchall()
