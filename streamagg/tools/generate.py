"""Made-up records in the shape of the classic ones, the same for the same seed everywhere.

All chance comes from the raw 64-bit words of PCG64, which numpy promises never to change, and
every record takes the same number of words: the first n records do not depend on how many follow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from streamagg.errors import SettingsError
from streamagg.tools.shapes import FIRST_TIME_S, SHAPES, VARIANTS, Shape, shapes_of
from streamagg.tools.visits import VISIT_BYTES, Visits
from streamagg.tools.words import Words, below, bits, fraction

CHUNK_RECORDS: Final = 4_096
"""Records made at once: numpy costs little for each, and a chunk of 2.2 KB records takes 9 MB."""
WORDS: Final = 6
"""Random words a record takes."""
REAL_FIELDS_BYTES: Final = 37
"""``{"ts":1468244384,"uid":"0123456789"}``"""


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """What the records look like."""

    count: int = 1_000_000
    users: int = 100_000
    rate: float = 1_000
    """Records a second of event time."""
    size_bytes: int = 2_200
    disorder: float = 0
    """Fraction of the records whose event time lies behind that of their place in the stream."""
    max_delay_s: int = 30
    """They lie behind by 1 to this many seconds, each as likely as the others."""
    corrupt: float = 0
    """Fraction of the records that are broken in one of the ways of ``CORRUPTIONS``."""
    seed: int = 1
    first_time_s: int = FIRST_TIME_S
    """Event time of the first record, in seconds since 1970."""
    visits: bool = False
    """Each record says more of a visit, to group by and to measure (``Visits``)."""

    @property
    def own_bytes(self) -> int:
        """Bytes of the fields that mean something, about."""
        return REAL_FIELDS_BYTES + (VISIT_BYTES if self.visits else 0)

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        least = 3 + self.own_bytes
        checks = (
            ("--count", self.count >= 0, "0 or more"),
            ("--users", 1 <= self.users <= 1 << 32, "between 1 and 4294967296"),
            ("--rate", self.rate > 0, "greater than 0"),
            ("--size", least <= self.size_bytes <= 1 << 20, f"between {least} and 1048576 bytes"),
            ("--disorder", 0 <= self.disorder <= 1, "a fraction between 0 and 1"),
            ("--max-delay", 1 <= self.max_delay_s <= FIRST_TIME_S, "at least 1 second"),
            ("--start", FIRST_TIME_S <= self.first_time_s < 1 << 33, "between 2016-07-11 and the year 2242"),
            ("--corrupt", 0 <= self.corrupt <= 1, "a fraction between 0 and 1"),
            ("--seed", self.seed >= 0, "0 or more"),
        )
        for flag, valid, expected in checks:
            if not valid:
                raise SettingsError(f"{flag} must be {expected}.")


def records(settings: GenerateSettings) -> Iterator[list[bytes]]:
    """The records without line ends, in lists of up to 4,096."""
    words = np.random.PCG64(settings.seed)
    shapes = shapes_of(settings.seed, settings.size_bytes - settings.own_bytes)
    visits = Visits(settings.seed) if settings.visits else None
    for first in range(0, settings.count, CHUNK_RECORDS):
        n = min(CHUNK_RECORDS, settings.count - first)
        said = visits.take(n) if visits else ([b""] * n, [b""] * n)
        yield _chunk(settings, shapes, said, first, words.random_raw(n * WORDS).reshape(n, WORDS))


def write(settings: GenerateSettings, out: BinaryIO) -> int:
    """Write the records as JSON lines; returns the bytes written."""
    written = 0
    for chunk in records(settings):
        chunk.append(b"")
        written += out.write(b"\n".join(chunk))
    return written


def _chunk(
    settings: GenerateSettings,
    shapes: list[Shape],
    said: tuple[list[bytes], list[bytes]],
    first: int,
    words: Words,
) -> list[bytes]:
    """The records from number ``first`` on; ``words`` has the shape ``(n, WORDS)``."""
    times = _event_times(settings, first, words)
    users = below(words[:, 0], settings.users)
    shape = bits(words[:, 1], 0, SHAPES)
    before, between, behind = (bits(words[:, 1], shift, VARIANTS) for shift in (8, 12, 16))
    uid_first = bits(words[:, 1], 20, 2)
    columns = (times, users, shape, before, between, behind, uid_first)
    chunk = []
    rows = zip(*(column.tolist() for column in columns), *said, strict=True)
    for time, user, s, i, j, k, swapped, places, numbers in rows:
        head, middle, tail = shapes[s]
        ts, uid = b'"ts":%d' % time, b'"uid":"%b"' % user_id(user, escaped=swapped == 1)
        one, other = (uid, ts) if swapped else (ts, uid)
        chunk.append(b"{%b%b,%b%b%b%b%b}" % (head[i], one, places, middle[j], other, numbers, tail[k]))
    for row in np.flatnonzero(fraction(words[:, 4]) < settings.corrupt).tolist():
        ways = CORRUPTIONS + VISIT_CORRUPTIONS if settings.visits else CORRUPTIONS
        chunk[row] = _corrupted(chunk[row], ways, int(times[row]), int(words[row, 5]))
    return chunk


def user_id(number: int, *, escaped: bool = False) -> bytes:
    """The id of a user as it stands between the quotes; some are not ASCII, plain or escaped."""
    scattered = number * 0x9E3779B1 + 0x51ED270B & 0xFFFFFFFFFF
    if number & 63:
        return b"%010x" % scattered
    return (b"%08x-\\u00e9" if escaped else b"%08x-\xc3\xa9") % (scattered & 0xFFFFFFFF)


def _event_times(settings: GenerateSettings, first: int, words: Words) -> npt.NDArray[np.int64]:
    """Seconds since the epoch, one for each row of ``words``."""
    place = np.arange(first, first + len(words), dtype=np.int64)
    times = settings.first_time_s + np.floor(place / settings.rate).astype(np.int64)
    delayed = fraction(words[:, 2]) < settings.disorder
    delay = 1 + below(words[:, 3], settings.max_delay_s).astype(np.int64)
    return times - np.where(delayed, delay, 0)


Corruption = Callable[[bytes, bytes, int], bytes]
CORRUPTIONS: Final[tuple[Corruption, ...]] = (
    lambda record, ts, word: record[: 1 + word % (len(record) - 1)],
    lambda record, ts, word: record + b"}",
    lambda record, ts, word: b"[" + record + b"]",
    lambda record, ts, word: record.replace(b":", b"\xff", 1),
    lambda record, ts, word: record.replace(b'"uid":', b'"gid":'),
    lambda record, ts, word: record.replace(b'"uid":"', b'"uid":0.5,"id":"'),
    lambda record, ts, word: record.replace(b'"uid":"', b'"uid":"","id":"'),
    lambda record, ts, word: record.replace(b'"ts":', b'"at":'),
    lambda record, ts, word: record.replace(ts, b'"ts":null'),
    lambda record, ts, word: record.replace(ts, b'"ts":"noon"'),
    lambda record, ts, word: record.replace(b'"ts":', b'"ts":-'),
    lambda record, ts, word: record.replace(ts, _with_bits(ts, 1 << 31 + word % 4)),
    lambda record, ts, word: record.replace(ts, _with_bits(ts, 1 << 22 + word % 8)),
)
"""Ways to break a record, given it, its real time field, and a random word."""
VISIT_CORRUPTIONS: Final[tuple[Corruption, ...]] = (
    lambda record, ts, word: record.replace(b'"country":', b'"country":[],"land":'),
    lambda record, ts, word: record.replace(b'"section":"', b'"section":"%b' % (b"x" * 256)),
    lambda record, ts, word: record.replace(b'"page":', b'"page":"/","pages":'),
    lambda record, ts, word: record.replace(b'"bytes":', b'"bytes":"many","size":'),
    lambda record, ts, word: record.replace(b'"latency_ms":', b'"latency_ms":1e999,"took_ms":'),
)
"""More ways, where a record says more: no group, or no value to measure."""


def _corrupted(record: bytes, ways: tuple[Corruption, ...], time_s: int, word: int) -> bytes:
    return ways[(word >> 32) % len(ways)](record, b'"ts":%d' % time_s, word & 0xFFFFFFFF)


def _with_bits(ts: bytes, flipped: int) -> bytes:
    """The time field with bits of its value flipped."""
    return b'"ts":%d' % (int(ts[5:]) ^ flipped)
