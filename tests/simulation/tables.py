"""What is counted of the records of a scenario beside their users, and what they say of it."""

import random
from dataclasses import dataclass
from typing import Final

from streamagg.model.settings import (
    NO_CEILING,
    CeilingSettings,
    DecodeSettings,
    MeasureOp,
    MeasureSettings,
)
from tests.simulation.table_oracle import NOTHING, Fields, Meaning

_GROUPS: Final = (
    (b'"DE"', Meaning("DE", None, "DE")),
    (b'"D\\u0045"', Meaning("DE", None, "DE")),
    (b'"FR"', Meaning("FR", None, "FR")),
    (b'"\\"a,\xc3\xbc]"', Meaning('"a,ü]', None, '"a,ü]')),
    (b"7", Meaning("7", 7.0, "7")),
    (b'"7"', Meaning("7", None, "7")),
    (b"-0", Meaning("0", 0.0, "0")),
    (b"1.10", Meaning("1.1", 1.1, None)),
    (b"1E3", Meaning("1000.0", 1000.0, None)),
    (b"true", Meaning("true", None, None)),
    (b'"null"', Meaning("null", None, "null")),
    (b"null", NOTHING),
    (b"", NOTHING),
)
"""JSON, none where the field is absent; and what it says."""
_VALUES: Final = (
    b"0.1 0.2 0.3 1e-3 3.75 -7.1 5 -5 12 0 -0 -0.0 1e308 -1e308 1.7e308 5e-324 -5e-324 1e16 -1e16"
    b" 9007199254740993 9223372036854775807 18446744073709551616 1e999"
).split()
_NO_VALUES: Final = (b"", b"null", b'"0.5"', b"true", b"[1]", b"{}")
_OPS: Final[tuple[MeasureOp, ...]] = ("count", "sum", "avg", "min", "max", "first", "last", "uniques")
_MEASURED: Final = ("v", "in.w", "g", "a.1")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is counted of each window."""

    decode: DecodeSettings
    ceiling: CeilingSettings = NO_CEILING


USERS_ALONE: Final = Asked(DecodeSettings(time_unit="ms"))


def asked(chance: random.Random) -> Asked:
    """Half of the time nothing but users."""
    if chance.random() < 0.5:
        return USERS_ALONE
    group_by = chance.choice(((), ("g",), ("g",), ("g", "in.h"), ("a.0", "g", "in.h")))
    ops = chance.choices(_OPS, k=chance.choice((0, 1, 3, 6) if group_by else (1, 3, 6)))
    measures = tuple(MeasureSettings(f"m{n}", op, chance.choice(_MEASURED)) for n, op in enumerate(ops))
    decode = DecodeSettings(
        time_unit="ms",
        user_field=None if chance.random() < 0.25 else "uid",
        group_by=group_by,
        measures=measures,
        hash_seed=chance.choice((0, 0, 0x5EED)),
    )
    top = chance.choice((None, None, 1, 3))
    if chance.random() < 0.3:
        return Asked(decode, CeilingSettings(None, "stop", chance.choice((1, 2, 4, 8)), "totals", top))
    return Asked(decode, CeilingSettings(top=top))


class Speech:
    """Makes what records say beside their time and user."""

    def __init__(self, asked: Asked, chance: random.Random) -> None:
        self._chance = chance
        self._plain = asked.decode.plain
        self._grouped = bool(asked.decode.group_by)
        self._wide = chance.choice((0.0, 0.0, 0.5))
        """The share of records that are of one of many groups."""
        self._values = chance.choice((_VALUES, _VALUES[:8]))

    def fields(self) -> tuple[bytes, Fields]:
        """JSON to stand behind other fields of an object, and what it says; nothing in the plain case."""
        if self._plain:
            return b"", {}
        said = {path: self._group() for path in ("g", "in.h", "a.0")}
        said |= {path: self._value() for path in ("v", "in.w", "a.1")}
        nested = b",".join(_member(path.encode(), said[f"in.{path}"][0]) for path in ("h", "w"))
        # An array has no place without a value.
        array = b",".join(said[path][0] or b"null" for path in ("a.0", "a.1"))
        members = (
            *(_member(path.encode(), said[path][0]) for path in ("g", "v")),
            b'"in":{%s}' % nested.strip(b","),
            b'"a":[%s]' % array,
        )
        text = b"".join(b"," + member for member in members if member)
        return text, {path: meaning for path, (_, meaning) in said.items()}

    def misfit(self) -> bytes | None:
        """Fields that make a record unfit; sometimes, and only where there are groups."""
        unfit = self._grouped and self._chance.random() < 0.5
        return b',"g":{},"a":[[]]' if unfit else None

    def _group(self) -> tuple[bytes, Meaning]:
        if self._chance.random() < self._wide:
            name = f"w{self._chance.randrange(60)}"
            return b'"%s"' % name.encode(), Meaning(name, None, name)
        return self._chance.choice(_GROUPS)

    def _value(self) -> tuple[bytes, Meaning]:
        if self._chance.random() < 0.2:
            text = self._chance.choice(_NO_VALUES)
            return text, Meaning(None, None, "0.5" if text == b'"0.5"' else None)
        text = self._chance.choice(self._values)
        whole = text.removeprefix(b"-").isdigit()
        number = None if text == b"1e999" else float(text)
        return text, Meaning(None, number, str(int(text)) if whole else None)


def _member(name: bytes, text: bytes) -> bytes:
    return b'"%s":%s' % (name, text) if text else b""
