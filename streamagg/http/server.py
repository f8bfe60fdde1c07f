"""Serves an application on a socket: uvicorn with httptools and uvloop, told by nobody but its owner."""

import logging
import socket
import ssl
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, cast

from streamagg.errors import SettingsError
from streamagg.http.front import Front
from streamagg.http.handshakes import Handshakes
from streamagg.http.meter import Meter
from streamagg.model.settings import ListenSettings

DRAIN_S: Final = 10
"""For requests that are under way when the end has come."""
IDLE_S: Final = 60
"""A connection without a request is kept for so long."""
_BACKLOG: Final = 2_048
"""Connections that wait to be accepted, as far as the kernel allows as many."""
_PACKAGES: Final = ("httptools", "uvicorn", "uvloop")


def check_packages() -> None:
    """Raises SettingsError where something is missing that serving takes."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"To serve HTTP takes the packages {', '.join(missing)}: install them with"
            " pip install 'streamagg[http]'."
        )


def listener(address: str) -> socket.socket:
    """A socket that listens at ``host:port``. Raises SettingsError when the address cannot be had."""
    host, _, port = address.rpartition(":")
    return _bound(address, host, int(port), shared=False)


def listeners(address: str, number: int) -> list[socket.socket]:
    """So many sockets at the same ``host:port``, among which the kernel divides connections evenly.

    Where processes accept from one socket, the first to wake up takes all. Raises SettingsError when
    the address cannot be had.
    """
    first = listener(address)
    if number == 1:
        return [first]
    host, port = address.rpartition(":")[0], first.getsockname()[1]
    # Nobody else had it, which sockets that share it would not notice.
    first.close()
    return [_bound(address, host, port, shared=True) for _ in range(number)]


def _bound(address: str, host: str, port: int, *, shared: bool) -> socket.socket:
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=shared)
    except OSError as error:
        raise SettingsError(
            f"--listen {address} cannot be served: {error.strerror}. Name a free port of this machine."
        ) from error


def url_of(listening: socket.socket, settings: ListenSettings) -> str:
    """Where that is, with the real port for port 0."""
    host = settings.address.rpartition(":")[0]
    return f"http{'s' * settings.secure}://{host}:{listening.getsockname()[1]}"


def tls_context(settings: ListenSettings) -> ssl.SSLContext | None:
    """None without TLS. Raises SettingsError for a certificate that cannot be used."""
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, settings)
    return context


def load_certificate(context: ssl.SSLContext, settings: ListenSettings) -> None:
    """What is in the files now, for connections from here on. Raises SettingsError."""
    assert settings.tls_certificate is not None
    try:
        # Without a password, or the program would wait for somebody to type one.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=lambda: "")
    except OSError as error:
        why = "they are no certificate and its key in PEM, without a password"
        raise SettingsError(
            f"--tls-certificate {settings.tls_certificate} and its --tls-key cannot be used:"
            f" {why if isinstance(error, ssl.SSLError) else error.strerror}."
        ) from error


def server(
    front: Front, settings: ListenSettings, meter: Meter, context: ssl.SSLContext | None = None
) -> Any:
    """A ``uvicorn.Server``: ``await server.serve(sockets=[…])`` ends when ``should_exit`` is set.

    Then no more is accepted, and what is under way has ``DRAIN_S``.
    """
    import uvicorn

    from streamagg.http.connection import SPARE_CONNECTIONS, Connection, Limits

    limits = Limits(settings.max_connections, settings.request_timeout_ms / 1_000)

    class Quiet(uvicorn.Server):
        """Leaves signals to its owner, and speaks TLS."""

        def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
            return nullcontext()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets if context is None else [])
            if context is not None:
                self.servers += [self._handshakes(one, context) for one in sockets or ()]

        def _handshakes(self, listening: socket.socket, context: ssl.SSLContext) -> Any:
            make = partial(Connection, limits, meter, self.config, self.server_state, {})
            return Handshakes(listening, context, make, self._has_room, limits.request_s, meter)

        def _has_room(self, more: int) -> bool:
            return len(self.server_state.connections) + more < limits.connections + SPARE_CONNECTIONS

    config = uvicorn.Config(
        cast(Any, front),
        loop="uvloop",
        http=cast(Any, partial(Connection, limits, meter)),
        ws="none",
        lifespan="off",
        log_config=None,
        # What it has to say is answered or counted.
        log_level=logging.CRITICAL + 1,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=_BACKLOG,
    )
    return Quiet(config)
