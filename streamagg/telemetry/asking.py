"""Asks a running ``streamagg run`` or ``ingest`` how it is, from another process."""

import http.client
from typing import Final, Literal, NamedTuple

import msgspec

from streamagg.errors import SettingsError, StreamaggError
from streamagg.model.settings import HttpSettings

TIMEOUT_S: Final = 4.0
"""Less than the five seconds that checks of containers are usually given."""
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "::1"}
"""A server that listens everywhere is asked here."""


class Verdict(NamedTuple):
    """What it says of itself."""

    good: bool
    text: str
    """``live``, or ``not ready: why; and why``."""


def ask(settings: HttpSettings | None, what: Literal["live", "ready"]) -> Verdict:
    """Ask for ``/livez`` or ``/readyz``.

    Raises SettingsError when nothing is served at all, StreamaggError when nobody answers.
    """
    if settings is None:
        raise SettingsError("http = off serves nothing that could be asked: give --http HOST:PORT.")
    host, _, port = settings.address.rpartition(":")
    answer = _get(_LOOPBACK.get(host, host), int(port), f"/{what}z")
    try:
        reasons = msgspec.json.decode(answer, type=dict[str, bool | list[str]])["reasons"]
        assert isinstance(reasons, list)
    except (msgspec.DecodeError, KeyError, AssertionError):
        raise StreamaggError(
            f"What answers at {settings.address} is neither streamagg run nor ingest."
        ) from None
    return Verdict(not reasons, f"not {what}: {'; '.join(reasons)}" if reasons else what)


def _get(host: str, port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or error
        raise StreamaggError(
            f"Neither streamagg run nor ingest answers at {host}:{port}: {why}."
            " Start it, or name its address with --http."
        ) from error
    finally:
        connection.close()
