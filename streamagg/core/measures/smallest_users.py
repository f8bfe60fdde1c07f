"""Sketches of all users and of those of each group: from the users of the shards to what is published."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamagg.core.measures.contract import Places
from streamagg.core.measures.theta import NOMINAL, compact_theta
from streamagg.model.columns import UInt32Column, UInt64Column
from streamagg.model.results import Sketches

Smallest = tuple[bytes, bytes, bytes]
"""So many of the smallest users as a sketch may take: of all together, uint64, ascending; and of each group,
places, uint32, ascending, and users, uint64, ascending where they have one place."""

ENOUGH: Final = 2 * NOMINAL + 6
"""See ``compact_theta``."""
NOBODY: Final[Smallest] = (b"", b"", b"")


def smallest(users: UInt64Column, places: UInt32Column, members: UInt64Column) -> Smallest:
    """Of different users, ascending, and of pairs of a place and a user, each once, in any order."""
    order = np.lexsort((members, places))
    places, members = places[order], members[order]
    rank = np.arange(len(places)) - np.searchsorted(places, places)
    kept = rank < ENOUGH
    return users[:ENOUGH].tobytes(), places[kept].tobytes(), members[kept].tobytes()


def united(parts: Sequence[tuple[Smallest, Places | None]]) -> Smallest:
    """Of the users of all shards, each of which is in one of them; ``None``: groups are left out."""
    users = np.sort(np.concatenate([np.frombuffer(part[0], np.uint64) for part, _ in parts]))
    places, members = [np.empty(0, np.uint32)], [np.empty(0, np.uint64)]
    for (_, there, hashes), lie in parts:
        if lie is not None:
            places.append(lie[np.frombuffer(there, np.uint32)].astype(np.uint32))
            members.append(np.frombuffer(hashes, np.uint64))
    return smallest(users, np.concatenate(places), np.concatenate(members))


def sketches_of(found: Smallest, published: Sequence[int]) -> Sketches:
    """Of all users, and of the groups at these places."""
    places, members = np.frombuffer(found[1], np.uint32), np.frombuffer(found[2], np.uint64)
    starts = np.searchsorted(places, published, "left").tolist()
    stops = np.searchsorted(places, published, "right").tolist()
    groups = [compact_theta(members[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    return Sketches(compact_theta(np.frombuffer(found[0], np.uint64)), groups)
