"""``live``: what is published, as it is published, as server-sent events.

Each event is made once for all clients. A client that does not take what is sent gets no more than
``MOST_WAITING`` bytes behind: then it is told that it was dropped, and its answer ends. One that comes back
with ``Last-Event-ID`` gets what it missed, or a ``reset`` where that is no longer known: then it asks again
for what it shows.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Literal, NamedTuple

MOST_WAITING: Final = 64 << 10
"""Bytes for one client."""
HEARTBEAT_S: Final = 15.0
"""So often something is sent, so that neither end takes the other for dead."""
REMEMBERED: Final = 1_000
"""Events for clients that come back."""
KIND: Final = b"text/event-stream"
Kind = Literal["window", "period", "running"]


class Happened(NamedTuple):
    """One published record."""

    kind: Kind
    value: bytes
    """As it was published."""
    calendar: str
    group: bytes | None
    """Its text in a key; None for all users."""


class Wish(NamedTuple):
    """What a client wants to hear of."""

    calendars: frozenset[str] | None = None
    """None: of all."""
    group: bytes | None = None

    def takes(self, event: Happened) -> bool:
        return event.group == self.group and (self.calendars is None or event.calendar in self.calendars)


class _Event(NamedTuple):
    number: int
    happened: Happened
    sent: bytes
    """As it goes over the line."""


@dataclass(eq=False, slots=True)
class _Client:
    wish: Wish
    waiting: deque[bytes] = field(default_factory=deque)
    size: int = 0
    dropped: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, piece: bytes) -> None:
        if self.dropped:
            return
        self.waiting.append(piece)
        self.size += len(piece)
        self.woken.set()


class Live:
    """All clients; belongs to the thread of the event loop."""

    def __init__(self, epoch: str) -> None:
        """``epoch`` tells the events of this process from those of others."""
        self._epoch = epoch
        self._clients: defaultdict[bytes | None, set[_Client]] = defaultdict(set)
        """By the group that they want to hear of: a window may have thousands."""
        self._remembered: deque[_Event] = deque(maxlen=REMEMBERED)
        self._latest: dict[tuple[str, str, bytes | None], _Event] = {}
        self._number = 0
        self._closed = False
        self.dropped = 0
        """Clients that were too slow."""

    @property
    def clients(self) -> int:
        """That listen."""
        return sum(map(len, self._clients.values()))

    def publish(self, events: Iterable[Happened]) -> None:
        """Tell all clients that want to hear of it."""
        for happened in events:
            self._number += 1
            sent = b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
                self._epoch.encode(),
                self._number,
                happened.kind.encode(),
                happened.value,
            )
            event = _Event(self._number, happened, sent)
            self._remembered.append(event)
            if happened.group is None:
                self._latest[(happened.kind, happened.calendar, None)] = event
            for client in self._clients.get(happened.group, ()):
                if client.wish.takes(happened):
                    self._send(client, sent)

    def close(self) -> None:
        """End all answers."""
        self._closed = True
        for client in chain.from_iterable(self._clients.values()):
            client.woken.set()

    async def listen(self, wish: Wish, last_id: str | None) -> AsyncGenerator[bytes, None]:
        """The pieces of an answer."""
        client = _Client(wish)
        for piece in self._missed(wish, last_id):
            client.send(piece)
        self._clients[wish.group].add(client)
        try:
            yield b"retry: 2000\n\n"
            while not self._closed:
                if not client.waiting and not await _woken(client):
                    yield b": still here\n\n"
                    continue
                pieces = b"".join(client.waiting)
                client.waiting.clear()
                client.size = 0
                if pieces:
                    yield pieces
                if client.dropped:
                    return
        finally:
            self._leave(client)

    def _leave(self, client: _Client) -> None:
        clients = self._clients[client.wish.group]
        clients.discard(client)
        if not clients:
            del self._clients[client.wish.group]

    def _send(self, client: _Client, piece: bytes) -> None:
        if client.size + len(piece) > MOST_WAITING and not client.dropped:
            client.waiting.clear()
            client.send(b'event: dropped\ndata: {"reason":"you read more slowly than events come"}\n\n')
            client.dropped = True
            self.dropped += 1
        else:
            client.send(piece)

    def _missed(self, wish: Wish, last_id: str | None) -> list[bytes]:
        """For one that comes back what has happened since, else what is latest."""
        if last_id is None:
            return [event.sent for event in self._latest.values() if wish.takes(event.happened)]
        epoch, _, number = last_id.rpartition("-")
        oldest = self._remembered[0].number if self._remembered else self._number + 1
        known = epoch == self._epoch and number.isascii() and number.isdecimal() and len(number) < 16
        if not known or not oldest - 1 <= int(number) <= self._number:
            latest = [event.sent for event in self._latest.values() if wish.takes(event.happened)]
            return [b"event: reset\ndata: {}\n\n", *latest]
        missed = [
            event.sent
            for event in self._remembered
            if event.number > int(number) and wish.takes(event.happened)
        ]
        if sum(map(len, missed)) > MOST_WAITING:
            return [b"event: reset\ndata: {}\n\n"]
        return missed


async def _woken(client: _Client) -> bool:
    """False if nothing has happened for so long that a sign of life is due."""
    try:
        await asyncio.wait_for(client.woken.wait(), HEARTBEAT_S)
    except TimeoutError:
        return False
    client.woken.clear()
    return True
