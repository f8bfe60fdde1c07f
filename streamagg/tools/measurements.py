"""Made-up measurements, as a measurement store gets them, the same for the same seed everywhere.

::

    {"time":1468244384000100000,"tag":"tag-00042","values":[20.13,1.07,…]}

Times are in nanoseconds. Of 10,000 tags the first has 1 % of all measurements, the second 1 % of the others,
and so on. A value wavers around one that its tag and its place have; it is below 200 and has two decimals.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from streamagg.errors import SettingsError
from streamagg.tools.shapes import FIRST_TIME_S
from streamagg.tools.words import Words, below, fraction

TAGS: Final = 10_000
SHARE: Final = 0.01
"""Of a tag among those that are not before it."""
VALUES: Final = 10
WORDS: Final = 3 + VALUES // 2
"""Random words a measurement takes: for its tag, for its delay two, and half of one for each value."""
CHUNK_RECORDS: Final = 4_096
NS: Final = 1_000_000_000
_BASES: Final = 10_000
"""Hundredths around which values waver."""
_ENDS: Final = 1 - np.cumprod(np.full(TAGS - 1, 1 - SHARE))
"""Where the share of each tag ends, between 0 and 1; by multiplications, which are the same everywhere."""


@dataclass(frozen=True, slots=True)
class MeasurementSettings:
    """What the measurements look like."""

    count: int = 1_000_000
    rate: float = 10_000
    """Of event time, a second."""
    disorder: float = 0
    """Fraction of them that lie behind their place in the stream."""
    max_delay_s: int = 30
    """They lie behind by up to so much."""
    seed: int = 1
    first_time_s: int = FIRST_TIME_S

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        checks = (
            ("--count", self.count >= 0, "0 or more"),
            ("--rate", self.rate > 0, "greater than 0"),
            ("--disorder", 0 <= self.disorder <= 1, "a fraction between 0 and 1"),
            ("--max-delay", 1 <= self.max_delay_s <= FIRST_TIME_S, "at least 1 second"),
            ("--start", FIRST_TIME_S <= self.first_time_s < 1 << 33, "between 2016-07-11 and the year 2242"),
            ("--seed", self.seed >= 0, "0 or more"),
        )
        for flag, valid, expected in checks:
            if not valid:
                raise SettingsError(f"{flag} must be {expected}.")


def measurements(settings: MeasurementSettings) -> Iterator[list[bytes]]:
    """The measurements without line ends, in lists of up to 4,096."""
    words = np.random.PCG64([settings.seed, 3])
    for first in range(0, settings.count, CHUNK_RECORDS):
        n = min(CHUNK_RECORDS, settings.count - first)
        yield _chunk(settings, first, words.random_raw(n * WORDS).reshape(n, WORDS))


def write_measurements(settings: MeasurementSettings, out: BinaryIO) -> int:
    """Write them as JSON lines; returns the bytes written."""
    return sum(out.write(b"\n".join([*chunk, b""])) for chunk in measurements(settings))


def _chunk(settings: MeasurementSettings, first: int, words: Words) -> list[bytes]:
    times, tags = _times(settings, first, words), _tags(words[:, 0])
    hundredths = _values(tags, words[:, 3:])
    whole, part = np.divmod(hundredths, 100)
    rows = zip(times.tolist(), tags.tolist(), whole.tolist(), part.tolist(), strict=True)
    return [
        b'{"time":%d,"tag":"tag-%05d","values":[%b]}'
        % (time, tag + 1, b",".join([b"%d.%02d" % pair for pair in zip(w, p, strict=True)]))
        for time, tag, w, p in rows
    ]


def _times(settings: MeasurementSettings, first: int, words: Words) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970."""
    place = np.arange(first, first + len(words), dtype=np.int64)
    # Seconds apart: a double has too few digits for the nanoseconds of years.
    seconds, rest = np.divmod(place, settings.rate)
    since = seconds.astype(np.int64) * NS + (rest * (NS / settings.rate)).astype(np.int64)
    delayed = fraction(words[:, 1]) < settings.disorder
    delay = (fraction(words[:, 2]) * (settings.max_delay_s * NS)).astype(np.int64)
    return settings.first_time_s * NS + since - np.where(delayed, delay, 0)


def _tags(words: Words) -> npt.NDArray[np.int64]:
    """Numbers from 0."""
    return np.searchsorted(_ENDS, fraction(words), "right").astype(np.int64)


def _values(tags: npt.NDArray[np.int64], words: Words) -> npt.NDArray[np.int64]:
    """Hundredths, of the shape ``(n, VALUES)``."""
    halves = np.concatenate([words >> np.uint64(32), words & np.uint64(0xFFFFFFFF)], axis=1)
    wavering = below(halves << np.uint64(32), _BASES).astype(np.int64)
    bases = (tags[:, None] * 7_919 + np.arange(VALUES) * 104_729) % _BASES
    return bases + wavering
