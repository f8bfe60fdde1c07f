"""Idempotency keys of the last ten minutes, in memory that all workers share.

::

    bucket of a key   64 keys of 16 bytes | 64 bodies | 64 ends | 64 owners     8 bytes each

A key is remembered with a hash of its body, until its end (of the monotonic clock, in ms; 0: the place is
free), and with its owner: which life of which worker is at work on it, or 0 when it is done. A bucket is
locked while it is looked at. Nothing of it outlives the program; a worker that dies leaves what it has done,
and what it was at work on is free again when another has taken its place.
"""

import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final, Literal, NamedTuple

KEPT_MS: Final = 600_000
PLACES: Final = 64
"""Of a bucket: so many that none is full long before the others are."""
_KEY_BYTES: Final = 16
_BUCKET_BYTES: Final = PLACES * (_KEY_BYTES + 3 * 8)

Verdict = Literal["new", "done", "busy", "other", "full"]
"""``new``: it is the caller's to do. ``done``: it was. ``busy``: somebody is at it. ``other``: the key was
used for another body. ``full``: there is no room to remember it."""


class SeenKeys:
    """Keys, as one worker sees them."""

    def __init__(
        self,
        most_keys: int,
        workers: int,
        worker: int = 0,
        descriptor: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``descriptor``: of the memory that another process has made. ``clock`` returns seconds."""
        self._buckets = -(-most_keys // PLACES)
        size = workers * 8 + self._buckets * _BUCKET_BYTES
        made = descriptor is None
        self.descriptor = os.memfd_create("streamagg-keys") if descriptor is None else descriptor
        if made:
            os.ftruncate(self.descriptor, size)
        self._memory = mmap.mmap(self.descriptor, size)
        self._words = memoryview(self._memory).cast("q")
        self._begin = workers * 8
        self._worker = worker
        self._clock = clock

    def begin_life(self) -> None:
        """Whatever a worker of this number was at work on is free from here on."""
        self._words[self._worker] += 1

    def begin(self, key: bytes, body: bytes) -> Verdict:
        """``key`` has 16 bytes, ``body`` 8: their hashes. ``done`` or ``forget`` must follow ``new``."""
        now_ms = int(self._clock() * 1_000)
        with self._locked(key) as bucket:
            place = self._find(key, bucket)
            if place is not None and self._ends(bucket)[place] > now_ms:
                return self._known(bucket, place, body)
            if place is None:
                place = self._free_place(bucket, now_ms)
            if place is None:
                return "full"
            start = self._begin + bucket * _BUCKET_BYTES + place * _KEY_BYTES
            self._memory[start : start + _KEY_BYTES] = key
            self._take(bucket, place, body, now_ms)
            return "new"

    def done(self, key: bytes) -> None:
        """What was begun is done."""
        self._end(key, int(self._clock() * 1_000) + KEPT_MS)

    def forget(self, key: bytes) -> None:
        """What was begun is not done: whoever sends it again does it."""
        self._end(key, 0)

    def _known(self, bucket: int, place: int, body: bytes) -> Verdict:
        if self._bodies(bucket)[place] != int.from_bytes(body, "little", signed=True):
            return "other"
        owner = self._owners(bucket)[place]
        if owner == 0:
            return "done"
        if self._alive(owner):
            return "busy"
        self._owners(bucket)[place] = self._me
        return "new"

    def _take(self, bucket: int, place: int, body: bytes, now_ms: int) -> None:
        self._bodies(bucket)[place] = int.from_bytes(body, "little", signed=True)
        self._ends(bucket)[place] = now_ms + KEPT_MS
        self._owners(bucket)[place] = self._me

    def _end(self, key: bytes, end_ms: int) -> None:
        with self._locked(key) as bucket:
            place = self._find(key, bucket)
            # None: it took longer than keys are kept, and another one has its place.
            if place is not None and self._owners(bucket)[place] == self._me:
                self._ends(bucket)[place] = end_ms
                self._owners(bucket)[place] = 0

    def _free_place(self, bucket: int, now_ms: int) -> int | None:
        ends = self._ends(bucket).tolist()
        first = min(ends)
        return ends.index(first) if first <= now_ms else None

    def _find(self, key: bytes, bucket: int) -> int | None:
        start = self._begin + bucket * _BUCKET_BYTES
        end = start + PLACES * _KEY_BYTES
        at = self._memory.find(key, start, end)
        while at >= 0 and (at - start) % _KEY_BYTES:
            at = self._memory.find(key, at + 1, end)
        return None if at < 0 else (at - start) // _KEY_BYTES

    @property
    def _me(self) -> int:
        return self._words[self._worker] << 16 | self._worker

    def _alive(self, owner: int) -> bool:
        return self._words[owner & 0xFFFF] == owner >> 16

    def _bodies(self, bucket: int) -> memoryview:
        return self._column(bucket, 0)

    def _ends(self, bucket: int) -> memoryview:
        return self._column(bucket, 1)

    def _owners(self, bucket: int) -> memoryview:
        return self._column(bucket, 2)

    def _column(self, bucket: int, number: int) -> memoryview:
        start = self._begin + bucket * _BUCKET_BYTES + PLACES * (_KEY_BYTES + 8 * number)
        return self._words[start // 8 : start // 8 + PLACES]

    @contextmanager
    def _locked(self, key: bytes) -> Iterator[int]:
        """The bucket of a key; a lock of the kernel, which a process that dies gives back."""
        bucket = int.from_bytes(key[:8], "little") % self._buckets
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, bucket)
        try:
            yield bucket
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, bucket)


class Hashes(NamedTuple):
    """For ``SeenKeys.begin``."""

    key: bytes
    """Of a key of one sender."""
    body: bytes
    """Of what is to be done."""


def hashes_of(key: bytes, owner: bytes, body: bytes, query: bytes) -> Hashes:
    """``owner``: what tells senders apart; ``query``: what else is asked for."""
    named = hashlib.blake2b(key, digest_size=_KEY_BYTES, key=hashlib.sha256(owner).digest()).digest()
    done = hashlib.blake2b(body, digest_size=8, key=hashlib.sha256(query).digest()).digest()
    return Hashes(named, done)
