"""What a generated record says of a visit: fields to group by, and numbers to measure.

::

    "country":"DE","page":{"section":"garden","path":"/garden/17"}
    "bytes":48213,"latency_ms":17.3,"price":4.99
"""

import json
from typing import Final

import numpy as np
import numpy.typing as npt

from streamagg.tools.words import Words, below, bits, fraction

_COUNTRIES: Final = (
    "USDEGBFRJPINBRCAITESAUNLMXKRPLSETRIDATCHBEARZADKNOFIIEPTCZGRROHUUAILNZSGMYTHPHVNCLCOPEEGNGKEMASAAEPK"
    "BDLKTWHKSKBGHRSIRSLTLVEELUISMTCYBYKZGEAMAZUZKGTJTMMNCNNPBTMMKHLABNTLPGFJSBVUWSTOKITVNRPWFMMHCUJMHTDO"
    "PRTTBBBSBZGTHNSVNICRPAVEECBOPYUYGYSRADMCSMVALIALMKMEBAMDXKQAKWBHOMYEIQIRSYLBJOPSAFDZTNLYSDSSETERDJSO"
    "UGRWBITZMZMWZMZWBWNASZLSAOCDCGGACMCFTDNEMLBFCIGHTGBJSNGMGWGNSLLRMRCVSTGQMGMUSCKMRUMVGDGLFOGIRENCPFAW"
)
COUNTRIES: Final = tuple(_COUNTRIES[at : at + 2] for at in range(0, len(_COUNTRIES), 2))
SECTIONS: Final = (
    "shoes", "books", "garden", "kitchen", "toys", "news", "sport", "wine", "hi-fi", "Küche",
    "Möbel", "café", "été", "東京", "a/b", "search", "help", "cart", "login", "about us",
)  # fmt: skip
PAGES: Final = 10_000
VISIT_BYTES: Final = 112
"""Of the fields of a visit with their commas, about."""
WORDS: Final = 6
"""Random words a visit takes."""

_CODES: Final = [*(b'"%b"' % code.encode() for code in COUNTRIES), b"null"]
"""As JSON; the last is that of an unknown country."""


class Visits:
    """The visits of a seed, one behind the other.

    The n-th of the countries, and of the pages, is seen 1/n times as often as the first. The country of one
    visit in 128 is unknown, and one in 8 has no price: null.
    """

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64([seed, 2])
        self._countries, self._pages = _shares(len(COUNTRIES)), _shares(PAGES)
        self._texts = [_page(number, escape) for number in range(PAGES) for escape in (False, True)]

    def take(self, n: int) -> tuple[list[bytes], list[bytes]]:
        """Texts of the next ``n``: fields to group by with a comma behind, and numbers with one before."""
        words = self._words.random_raw(n * WORDS).reshape(n, WORDS)
        return self._places(words), _numbers(words)

    def _places(self, words: Words) -> list[bytes]:
        country = np.where(bits(words[:, 5], 0, 128) == 0, -1, _drawn(self._countries, words[:, 0]))
        text = 2 * _drawn(self._pages, words[:, 1]) + bits(words[:, 5], 7, 2).astype(np.int64)
        rows = zip(country.tolist(), text.tolist(), strict=True)
        return [b'"country":%b,"page":%b,' % (_CODES[c], self._texts[t]) for c, t in rows]


def _numbers(words: Words) -> list[bytes]:
    size = 200 + below(words[:, 2], 100_000)
    # Squares: most are quick, a few are slow.
    tenths = 10 + below(words[:, 3], 1_000) ** 2 // 200
    cents = 99 + 10 * below(words[:, 4], 3_000)
    priced = bits(words[:, 5], 8, 8)
    columns = (size, tenths // 10, tenths % 10, cents // 100, cents % 100, priced)
    return [
        b',"bytes":%d,"latency_ms":%d.%d,"price":%b'
        % (b, ms, tenth, b"%d.%02d" % (whole, cent) if p else b"null")
        for b, ms, tenth, whole, cent, p in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _shares(n: int) -> npt.NDArray[np.float64]:
    """Where the share of each of ``n`` ends, between 0 and 1."""
    ends = np.cumsum(1 / np.arange(1, n + 1))
    shares: npt.NDArray[np.float64] = ends / ends[-1]
    return shares


def _drawn(ends: npt.NDArray[np.float64], words: Words) -> npt.NDArray[np.int64]:
    return np.searchsorted(ends, fraction(words), "right").astype(np.int64)


def _page(number: int, escape: bool) -> bytes:
    """The object of a page."""
    section = SECTIONS[number % len(SECTIONS)]
    page = {"section": section, "path": f"/{section}/{number}"}
    return json.dumps(page, ensure_ascii=escape, separators=(",", ":")).encode()
