"""The groups of the store: a number for each, and what a question for groups means."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from streamagg.serve.store.layout import ALL_USERS


@dataclass(frozen=True, slots=True)
class Group:
    """One group: names of its fields, none while only a sketch of it has come, and their values."""

    names: tuple[str, ...]
    values: tuple[str | None, ...]

    @property
    def published(self) -> dict[str, str | None]:
        """As it stands in a record."""
        return dict(zip(self.names, self.values, strict=True))

    def has(self, wanted: Mapping[str, str | None]) -> bool:
        """Whether its fields have these values."""
        return all(
            name in self.names and self.values[self.names.index(name)] == value
            for name, value in wanted.items()
        )


class Groups:
    """Numbers of groups, from 1 on; written by one thread, read by any."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._groups: list[Group] = [Group((), ())]
        self._namings: dict[tuple[str, ...], None] = {}
        self._lock = threading.Lock()

    def load(self, rows: Iterable[tuple[str, str]]) -> None:
        """Texts and names, as JSON, of what the store has, in order of the numbers."""
        for text, names in rows:
            self.add(text.encode(), tuple(orjson.loads(names)))

    def number(self, text: bytes | None) -> int | None:
        """Of the group with that text in a key; None for one that is not known."""
        return ALL_USERS if text is None else self._numbers.get(text)

    def add(self, text: bytes, names: tuple[str, ...]) -> int:
        """Of a new group, or of a known one whose names have become known. Raises ValueError."""
        values = tuple(orjson.loads(text))
        if names and len(names) != len(values):
            raise ValueError("a group has as many names as values")
        group = Group(names, values if names else ())
        with self._lock:
            number = self._numbers.setdefault(text, len(self._groups))
            if number == len(self._groups):
                self._groups.append(group)
            else:
                self._groups[number] = group
            if names:
                self._namings[names] = None
        return number

    def __getitem__(self, number: int) -> Group:
        return self._groups[number]

    def __len__(self) -> int:
        return len(self._groups) - 1

    def matching(self, wanted: Mapping[str, str | None]) -> list[int]:
        """Numbers of the groups whose fields have these values; of all groups for none."""
        with self._lock:
            groups, namings = self._groups[:], list(self._namings)
        if namings and all(names_are(names, wanted) for names in namings):
            text = orjson.dumps([wanted[name] for name in namings[0]])
            number = self._numbers.get(text)
            return [] if number is None else [number]
        return [number for number, group in enumerate(groups) if number and group.names and group.has(wanted)]

    def fields(self) -> list[str]:
        """Names of the fields that groups have."""
        with self._lock:
            return list(dict.fromkeys(name for names in self._namings for name in names))


def names_are(names: Sequence[str], wanted: Mapping[str, str | None]) -> bool:
    """Whether a value is wanted of each field, and of no other."""
    return len(names) == len(wanted) and all(name in wanted for name in names)
