"""Messages over a socket pair between the coordinator and one worker.

A frame is the length (4 bytes, little-endian) and the msgpack of one message. The coordinator never
blocks: what does not fit into the socket waits in the link's buffer. A worker blocks in ``send``,
which is the back-pressure on it.
"""

import select
import socket
from typing import Final

import msgspec

from streamagg.model.messages import AnyMessage

_READ_BYTES: Final = 1 << 18
"""More than a socket pair holds on Linux by default (208 KiB), so that one call empties it."""
_LENGTH_BYTES: Final = 4
"""Messages of up to 4 GiB; a block of 16,000 records takes 320 KB."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


class LinkClosed(Exception):
    """The other end is gone."""


class Link:
    """One end of a socket pair."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._incoming = bytearray(_READ_BYTES)
        self._filled = 0
        """Bytes of it that have come and are not handed out."""
        self._outgoing = bytearray()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    @property
    def backlog_bytes(self) -> int:
        """Bytes posted that the socket did not take yet."""
        return len(self._outgoing)

    def post(self, message: AnyMessage) -> None:
        """Send without blocking; ``flush`` sends the rest when the socket takes more."""
        self._append(message)
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes; a dead reader is found by ``receive``."""
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError:
                self._outgoing.clear()
                return
            del self._outgoing[:sent]

    def send(self, message: AnyMessage) -> None:
        """Send and wait until the socket has taken everything; raises LinkClosed."""
        self._append(message)
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except BlockingIOError:
                select.select([], [self._socket], [])
                continue
            except OSError as error:
                raise LinkClosed from error
            del self._outgoing[:sent]

    def receive(self, timeout_ms: int = 0) -> list[AnyMessage]:
        """Everything that has come; waits so long for the first byte. Raises LinkClosed."""
        if timeout_ms:
            select.select([self._socket], [], [], timeout_ms / 1000)
        closed = self._read()
        messages = self._frames()
        if closed and not messages:
            raise LinkClosed
        return messages

    def close(self) -> None:
        """Give up the socket; the other end sees the end of the stream."""
        self._socket.close()

    def _append(self, message: AnyMessage) -> None:
        outgoing = self._outgoing
        start = len(outgoing)
        outgoing += bytes(_LENGTH_BYTES)
        _encoder.encode_into(message, outgoing, -1)
        body = start + _LENGTH_BYTES
        outgoing[start:body] = (len(outgoing) - body).to_bytes(_LENGTH_BYTES, "little")

    def _read(self) -> bool:
        """Take what has come; whether the other end is gone."""
        while True:
            if len(self._incoming) - self._filled < _READ_BYTES:
                self._incoming += bytes(len(self._incoming))
            try:
                with memoryview(self._incoming) as whole, whole[self._filled :] as room:
                    count, asked = self._socket.recv_into(room), len(room)
            except BlockingIOError:
                return False
            except OSError:
                return True
            if not count:
                return True
            self._filled += count
            if count < asked:
                return False

    def _frames(self) -> list[AnyMessage]:
        frames: list[AnyMessage] = []
        position, filled = 0, self._filled
        with memoryview(self._incoming) as data:
            while position + _LENGTH_BYTES <= filled:
                start = position + _LENGTH_BYTES
                stop = start + int.from_bytes(data[position:start], "little")
                if stop > filled:
                    break
                frames.append(_decoder.decode(data[start:stop]))
                position = stop
            data[: filled - position] = data[position:filled]
        self._filled = filled - position
        return frames
