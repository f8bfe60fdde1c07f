"""Why a record is rejected."""

from typing import Final

REASONS: Final = (
    "bad_time",
    "bad_user",
    "bad_group",
    "missing_field",
    "bad_json",
    "tombstone",
    "too_large",
    "future",
    "poison",
)
"""Why a record is rejected.

Found by decoding it; but ``future`` by the clock, and ``poison`` by what became of its readers.
"""
