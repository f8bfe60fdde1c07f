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

CHUNK_RECORDS: Final = 4_096
"""Records made at once: numpy costs little for each, and a chunk of 2.2 KB records takes 9 MB."""
WORDS: Final = 6
"""Random words a record takes."""
REAL_FIELDS_BYTES: Final = 37
"""``{"ts":1468244384,"uid":"0123456789"}``"""

Words = npt.NDArray[np.uint64]


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

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        checks = (
            ("--count", self.count >= 0, "0 or more"),
            ("--users", 1 <= self.users <= 1 << 32, "between 1 and 4294967296"),
            ("--rate", self.rate > 0, "greater than 0"),
            ("--size", 40 <= self.size_bytes <= 1 << 20, "between 40 and 1048576 bytes"),
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
    shapes = shapes_of(settings.seed, max(0, settings.size_bytes - REAL_FIELDS_BYTES))
    for first in range(0, settings.count, CHUNK_RECORDS):
        n = min(CHUNK_RECORDS, settings.count - first)
        yield _chunk(settings, shapes, first, words.random_raw(n * WORDS).reshape(n, WORDS))


def write(settings: GenerateSettings, out: BinaryIO) -> int:
    """Write the records as JSON lines; returns the bytes written."""
    written = 0
    for chunk in records(settings):
        chunk.append(b"")
        written += out.write(b"\n".join(chunk))
    return written


def _chunk(settings: GenerateSettings, shapes: list[Shape], first: int, words: Words) -> list[bytes]:
    """The records from number ``first`` on; ``words`` has the shape ``(n, WORDS)``."""
    times = _event_times(settings, first, words)
    users = _below(words[:, 0], settings.users)
    shape = _bits(words[:, 1], 0, SHAPES)
    before, between, behind = (_bits(words[:, 1], shift, VARIANTS) for shift in (8, 12, 16))
    uid_first = _bits(words[:, 1], 20, 2)
    columns = (times, users, shape, before, between, behind, uid_first)
    chunk = []
    for time, user, s, i, j, k, swapped in zip(*(column.tolist() for column in columns), strict=True):
        head, middle, tail = shapes[s]
        ts, uid = b'"ts":%d' % time, b'"uid":"%b"' % user_id(user, escaped=swapped == 1)
        one, other = (uid, ts) if swapped else (ts, uid)
        chunk.append(b"{%b%b,%b%b%b}" % (head[i], one, middle[j], other, tail[k]))
    for row in np.flatnonzero(_fraction(words[:, 4]) < settings.corrupt).tolist():
        chunk[row] = _corrupted(chunk[row], int(times[row]), int(words[row, 5]))
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
    delayed = _fraction(words[:, 2]) < settings.disorder
    delay = 1 + _below(words[:, 3], settings.max_delay_s).astype(np.int64)
    return times - np.where(delayed, delay, 0)


def _below(words: Words, limit: int) -> Words:
    """Whole numbers in ``[0, limit)``, limit at most 2**32, from the upper halves of the words."""
    return (words >> np.uint64(32)) * np.uint64(limit) >> np.uint64(32)


def _bits(words: Words, shift: int, limit: int) -> Words:
    """Whole numbers in ``[0, limit)``, limit a power of two."""
    return words >> np.uint64(shift) & np.uint64(limit - 1)


def _fraction(words: Words) -> npt.NDArray[np.float64]:
    """Numbers in ``[0, 1)``."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


CORRUPTIONS: Final[tuple[Callable[[bytes, bytes, int], bytes], ...]] = (
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


def _corrupted(record: bytes, time_s: int, word: int) -> bytes:
    return CORRUPTIONS[(word >> 32) % len(CORRUPTIONS)](record, b'"ts":%d' % time_s, word & 0xFFFFFFFF)


def _with_bits(ts: bytes, flipped: int) -> bytes:
    """The time field with bits of its value flipped."""
    return b'"ts":%d' % (int(ts[5:]) ^ flipped)
