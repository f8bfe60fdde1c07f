"""What a worker and its parent tell each other: lines of JSON on a pair of sockets."""

import socket

import msgspec

from streamagg.model.settings import IngestSettings


class Setup(msgspec.Struct, tag=True):
    """The first line to a worker."""

    settings: IngestSettings
    worker: int
    listening: int
    """Descriptor of the socket that it accepts from."""
    numbers: int
    """Descriptor of the memory of ``SharedNumbers``."""
    keys: int
    """Descriptor of the memory of ``SeenKeys``."""


class Credentials(msgspec.Struct, tag=True):
    """To a worker: these tokens are good from here on, and the files of TLS may have changed."""

    digests: list[str]


class Stop(msgspec.Struct, tag=True):
    """To a worker: take no more, answer what is under way, and end."""


class Ready(msgspec.Struct, tag=True):
    """From a worker: it takes requests."""


class State(msgspec.Struct, tag=True):
    """From a worker: why it can write nothing from here on, or None when it can again."""

    trouble: str | None


class Failed(msgspec.Struct, tag=True):
    """From a worker: it ends, and another one would too."""

    kind: str
    """The name of a class in ``errors``."""
    text: str


Message = Setup | Credentials | Stop | Ready | State | Failed
_decode = msgspec.json.Decoder(Message).decode


class LinkClosed(Exception):
    """The other end is gone."""


class Link:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = b""

    def fileno(self) -> int:
        """For whoever waits until something comes."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Raises LinkClosed."""
        try:
            self._socket.sendall(msgspec.json.encode(message) + b"\n")
        except OSError as error:
            raise LinkClosed from error

    def receive(self) -> list[Message]:
        """What has come whole; waits until anything has come. Raises LinkClosed."""
        try:
            data = self._socket.recv(1 << 16)
        except OSError as error:
            raise LinkClosed from error
        if not data:
            raise LinkClosed
        *lines, self._received = (self._received + data).split(b"\n")
        return [_decode(line) for line in lines]

    def close(self) -> None:
        """The other end hears of it."""
        self._socket.close()
