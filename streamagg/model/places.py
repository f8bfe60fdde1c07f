"""Where records come from and results go to, as it stands in ``--input`` and ``--output``.

::

    visits                          topic      a topic of Kafka
    dir:/srv/counts                 directory  files
    postgresql://billing@db/usage   postgres   a database, as an output
    -                               stream     lines of standard input, or to standard output
"""

import re
from typing import Final, Literal, NamedTuple

PlaceKind = Literal["topic", "directory", "postgres", "stream"]
STREAM: Final = "-"
_DIRECTORY: Final = "dir:"
_POSTGRES: Final = ("postgresql://", "postgres://")
_PASSWORD: Final = re.compile(
    r"(?P<before>/[^/@:?]*:)(?P<in_user>.*)(?=@)|(?P<name>[?&]password=)(?P<in_query>[^&]*)"
)
"""Behind a user's name, and as a parameter."""


class Place(NamedTuple):
    """One of them, taken apart."""

    kind: PlaceKind
    at: str
    """The topic, the path, or the whole URL; ``-`` for a stream."""


def place_of(text: str) -> Place:
    """What a text names; whatever is nothing else is a topic."""
    if text == STREAM:
        return Place("stream", text)
    if text.startswith(_DIRECTORY):
        return Place("directory", text.removeprefix(_DIRECTORY))
    return Place("postgres" if text.startswith(_POSTGRES) else "topic", text)


def holds_password(text: str) -> bool:
    """Whether it is a URL with a password in it."""
    return place_of(text).kind == "postgres" and _PASSWORD.search(text) is not None


def shown(text: str) -> str:
    """The same for whoever reads it: without a password."""
    return _PASSWORD.sub(lambda found: f"{found['before'] or found['name']}***", text)
