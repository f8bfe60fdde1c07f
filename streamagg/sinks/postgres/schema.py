"""The statements that make the tables; this module needs no library of PostgreSQL."""

from importlib.resources import files
from typing import Final

VERSION: Final = 1
"""Of the tables; it stands in the statements, too."""


def schema() -> str:
    """SQL; where the tables are there it does nothing."""
    return (files(__package__) / "schema.sql").read_text("utf-8")
