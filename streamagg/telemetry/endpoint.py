"""Serves ``/metrics``, ``/healthz`` and ``/readyz`` over HTTP from a thread."""

import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from streamagg.errors import SettingsError
from streamagg.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_REQUEST_TIMEOUT_S: Final = 10.0

log = logging.getLogger(__name__)


@contextmanager
def serving(address: str, metrics: Metrics) -> Iterator[str]:
    """Serve at ``host:port`` while the context lasts; yields the URL, with the real port for port 0.

    Raises SettingsError when the address cannot be had.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        server = make_server(host, int(port), _app(metrics), _server_for(host), _Handler)
    except OSError as error:
        raise SettingsError(
            f"--metrics {address} cannot be served: {error.strerror}. Name a free port of this machine."
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
    thread.start()
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}"
    log.info("metrics at %s/metrics", url)
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _app(metrics: Metrics) -> "WSGIApplication":
    expose = make_wsgi_app(metrics.registry)

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                exposed: Iterable[bytes] = expose(environ, start_response)
                return exposed
            case "/healthz":
                return _answer(start_response, metrics.alive, "alive", "stuck")
            case "/readyz":
                return _answer(start_response, metrics.snapshot.ready, "ready", "not in the group yet")
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"/metrics, /healthz, /readyz\n"]

    return app


def _answer(start_response: "StartResponse", good: bool, yes: str, no: str) -> Iterable[bytes]:
    status = "200 OK" if good else "503 Service Unavailable"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{yes if good else no}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    """A slow reader does not block the next one, and none of them the end of the process."""

    daemon_threads = True

    def server_bind(self) -> None:
        # The base class asks the resolver for a name of the host, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])
        self.setup_environ()


def _server_for(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not worth a line each."""
