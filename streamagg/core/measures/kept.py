"""What an open period keeps of each measure, and what a window adds to it.

A *gain* is what a window adds. It begins as what the window comes to; a period takes it, and gives back what
of it was new, for that is all that a longer period has to look at, and all that has to be written down.
"""

from typing import Any, Final, Protocol

import numpy as np

from streamagg.core.measures.contract import Measure, Part, Places, State, Summary
from streamagg.core.measures.distinct import Distinct
from streamagg.core.measures.pair_set import PairSet
from streamagg.core.measures.smallest_users import Smallest, smallest
from streamagg.core.measures.uniques import CountedPairs, CountedUsers, Uniques
from streamagg.core.measures.user_set import UserSet, each_once
from streamagg.core.sharding import shards_of
from streamagg.model.columns import UInt32Column, UInt64Column

Gain = Any
"""Plain values that msgpack carries: of a set its ``Members``, of everything else a summary."""
Members = tuple[bool, bytes, bytes, bytes]
"""Of records without groups: whether there are more than the ceiling; hashes, uint64, ascending, above the
ceiling the smallest. Of records with groups pairs: places among the groups of the gain, uint32, and hashes.
"""
_NO_PAIRS: Final = np.empty(0, np.uint32), np.empty(0, np.uint64)
_MOST_PARTS: Final = 64
"""Summaries that wait to be combined: a period may have far more groups than a window."""


class Kept(Protocol):
    """What one shard keeps of one measure in an open period."""

    def absorb(self, gain: Gain, places: Places, groups: int) -> Gain:
        """Take a gain, whose groups lie at these places among so many; gives what of it was new."""

    def refill(self, gain: Gain, places: Places, groups: int) -> None:
        """Take one of many, as a start does."""

    def settle(self) -> None:
        """Those were all."""

    def share(self, gain: Gain, shards: int, shard: int) -> Gain | None:
        """What of a gain is in this shard from now on, whichever it came from; None: nothing."""

    def ungroup(self, groups: int) -> None:
        """Make one of so many groups; from now on all gains have one place."""

    def summary(self, groups: int) -> Summary:
        """What it comes to, as of a window."""

    @property
    def users(self) -> int:
        """Users that are kept; 0 if none are."""

    @property
    def nbytes(self) -> int:
        """Memory that grows with what is kept."""


def gain_of(measure: Measure, state: State, summary: Summary) -> Gain:
    """What a closed window comes to in one shard; ``summary`` is that of the state."""
    if isinstance(state, CountedUsers):
        return summary[0] is None, state.members().tobytes(), b"", b""
    if isinstance(state, CountedPairs):
        there, hashes = state.pairs()
        return False, b"", there.tobytes(), hashes.tobytes()
    if isinstance(measure, Distinct):
        _, there, values = summary
        return (False, b"", there, values) if there else (False, values, b"", b"")
    return summary


def kept_of(measure: Measure, *, grouped: bool) -> Kept:
    """Nothing yet."""
    if isinstance(measure, Uniques):
        return KeptUsers(measure, grouped=grouped)
    return _KeptValues(grouped=grouped) if isinstance(measure, Distinct) else _KeptSummaries(measure)


class _KeptSummaries:
    """Summaries, combined now and then."""

    users = 0

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._parts: list[Part] = []

    def absorb(self, gain: Gain, places: Places, groups: int) -> Gain:
        if len(places) > groups:
            gain, places = self._measure.combine([(gain, places)], groups), places[:groups]
        self._parts.append((gain, places))
        if len(self._parts) > _MOST_PARTS:
            self.summary(groups)
        return gain

    def refill(self, gain: Gain, places: Places, groups: int) -> None:
        self.absorb(gain, places, groups)

    def settle(self) -> None:
        pass

    def share(self, gain: Gain, shards: int, shard: int) -> Gain | None:
        return gain if shard == 0 else None

    def ungroup(self, groups: int) -> None:
        self._parts = [(self.summary(groups), np.zeros(groups, np.intp))]
        self.summary(1)

    def summary(self, groups: int) -> Summary:
        whole = self._measure.combine(self._parts, groups)
        self._parts = [(whole, None)]
        return whole

    @property
    def nbytes(self) -> int:
        return sum(_nbytes(summary) for summary, _ in self._parts)


class _KeptMembers:
    """A set of hashes; where there are groups of pairs, and beside them the set of their hashes."""

    def __init__(self, most: int | None = None, keep: int = 0, *, grouped: bool) -> None:
        self._keep = keep
        self._grouped = grouped
        self._pairs = PairSet(most, keep) if grouped else None
        self._all = UserSet(most, keep) if self._pairs is None else self._pairs.users

    def absorb(self, gain: Members, places: Places, groups: int) -> Members:
        above, known, there, hashes = _columns(gain)
        if self._pairs is None:
            fresh = self._all.fresh(each_once(hashes.copy()) if len(hashes) else known)
            if above:
                self._stay_above()
            return self._all.count() is None, fresh.tobytes(), b"", b""
        fresh_places, fresh = self._pairs.fresh(places[there], hashes)
        within = np.empty(groups, np.uint32)
        within[places] = np.arange(len(places))
        return False, b"", within[fresh_places].tobytes(), fresh.tobytes()

    def refill(self, gain: Members, places: Places, groups: int) -> None:
        above, known, there, hashes = _columns(gain)
        self._all.add(known)
        if self._pairs is None:
            self._all.add(hashes)
        else:
            self._pairs.add(places[there], hashes)
        if above:
            self._stay_above()

    def settle(self) -> None:
        if self._pairs is not None:
            self._pairs.merge()
        self._all.count()

    def share(self, gain: Members, shards: int, shard: int) -> Members | None:
        if shards == 1:
            return gain
        above, known, there, hashes = _columns(gain)
        ours = shards_of(hashes, shards) == shard
        known = known[shards_of(known, shards) == shard]
        return above, known.tobytes(), there[ours].tobytes(), hashes[ours].tobytes()

    def ungroup(self, groups: int) -> None:
        if self._pairs is not None:
            self._pairs.merge()
            self._pairs = None

    @property
    def users(self) -> int:
        return self._all.rows

    @property
    def nbytes(self) -> int:
        return self._all.nbytes if self._pairs is None else self._pairs.nbytes

    def _stay_above(self) -> None:
        """What was above the ceiling stays there, though it may be higher: not all are known any more."""
        if self._all.count() is not None:
            known = self._all.members()
            self._all = UserSet(0, self._keep)
            self._all.add(known)


class KeptUsers(_KeptMembers):
    """Of all up to the ceiling, of groups exactly."""

    def __init__(self, measure: Uniques, *, grouped: bool) -> None:
        # Where a ceiling stops the run all are kept, for one that goes on with a higher ceiling.
        super().__init__(measure.most if measure.keep else None, measure.keep, grouped=grouped)

    def summary(self, groups: int) -> Summary:
        counts = b"" if self._pairs is None else self._pairs.counts(groups).tobytes()
        return self._all.count(), self._all.smallest(self._keep).tobytes(), counts

    def smallest(self) -> Smallest:
        """For sketches."""
        there, hashes = _NO_PAIRS if self._pairs is None else self._pairs.members()
        return smallest(self._all.members(), there, hashes)


class _KeptValues(_KeptMembers):
    """In any number."""

    users = 0

    def summary(self, groups: int) -> Summary:
        if self._pairs is not None:
            there, hashes = self._pairs.members()
            return groups, there.tobytes(), hashes.tobytes()
        hashes = self._all.members()
        there = np.zeros(len(hashes) if self._grouped else 0, np.uint32)
        return groups, there.tobytes(), hashes.tobytes()


def _columns(gain: Members) -> tuple[bool, UInt64Column, UInt32Column, UInt64Column]:
    above, known, there, hashes = gain
    return (
        above,
        np.frombuffer(known, np.uint64),
        np.frombuffer(there, np.uint32),
        np.frombuffer(hashes, np.uint64),
    )


def _nbytes(summary: Summary) -> int:
    """Of the columns in it."""
    if isinstance(summary, bytes):
        return len(summary)
    return sum(map(_nbytes, summary)) if isinstance(summary, list | tuple) else 0
