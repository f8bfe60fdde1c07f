"""Numbers by chance, made of raw 64-bit random words."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]


def below(words: Words, limit: int) -> Words:
    """Whole numbers in ``[0, limit)``, limit at most 2**32, from the upper halves of the words."""
    return (words >> np.uint64(32)) * np.uint64(limit) >> np.uint64(32)


def bits(words: Words, shift: int, limit: int) -> Words:
    """Whole numbers in ``[0, limit)``, limit a power of two."""
    return words >> np.uint64(shift) & np.uint64(limit - 1)


def fraction(words: Words) -> npt.NDArray[np.float64]:
    """Numbers in ``[0, 1)``."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
