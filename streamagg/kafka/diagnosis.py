"""Says in a user's words why a broker cannot be used, where librdkafka says too little.

For a refused certificate librdkafka has one text whatever is wrong with it, and for a client without
TLS at a port with TLS it has none. For one with TLS at a port without it depends on who closes the connection
first. A handshake of our own, never used for data, finds out.
"""

import re
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streamagg.model.settings import KafkaSettings

_TIMEOUT_S: Final = 2.0
"""For an address that may not answer at all; the error waits for it."""
_BROKER: Final = re.compile(r"ssl://(?P<host>\S+):(?P<port>\d+)/")
_ADDRESS: Final = re.compile(r"(?P<host>[^,\s]+):(?P<port>\d{1,5})")
_REFUSED_BY_BROKER: Final = "SSL alert number"
_PROBE: Final = "probe"
"""The client looks for the authorities of the operating system."""
_NOT_VERIFIED: Final = "certificate verify failed"

_QUESTION: Final = struct.pack(">ihhih", 10, 18, 0, int.from_bytes(b"aggr"), -1)
"""Which requests a broker knows, ApiVersions 0: the one that each of them answers to anybody."""
_ANSWER: Final = struct.Struct(">i4s")

Address = tuple[str, int]


def is_refusal(text: str) -> bool:
    """Whether a broker ended the TLS handshake with an alert: trying again does not help."""
    return _REFUSED_BY_BROKER in text


def diagnosis(kafka: KafkaSettings, trouble: str | None) -> str | None:
    """Why, without the full stop, or None where nothing better is known than ``trouble``.

    ``trouble`` is the last error of librdkafka. Takes up to 2 s for an address that does not answer.
    """
    encrypted = kafka.client.get("security.protocol", "plaintext").lower() in ("ssl", "sasl_ssl")
    if not encrypted:
        return _without_tls(kafka.bootstrap_servers)
    if trouble is not None and is_refusal(trouble):
        return (
            "the broker ends the TLS handshake: it wants a client certificate (ssl.certificate.location and"
            " ssl.key.location), or does not accept this one"
        )
    if trouble is not None and _NOT_VERIFIED in trouble:
        found = _BROKER.search(trouble)
        return _wrong_certificate(_address(found), kafka.client) if found else None
    return _with_tls(kafka.bootstrap_servers)


def _without_tls(servers: str) -> str | None:
    found = _ADDRESS.search(servers)
    if found is None:
        return None
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    try:
        _shake_hands(_address(found), anything)
    except OSError:
        return None
    return f"{found[0]} speaks TLS, and security.protocol is neither SSL nor SASL_SSL"


def _with_tls(servers: str) -> str | None:
    found = _ADDRESS.search(servers)
    if found is None or not _answers_openly(_address(found)):
        return None
    return f"{found[0]} speaks no TLS (it is a PLAINTEXT broker listener), and security.protocol asks for it"


def _answers_openly(address: Address) -> bool:
    """A broker answers there that speaks without TLS."""
    try:
        with socket.create_connection(address, timeout=_TIMEOUT_S) as plain:
            plain.settimeout(_TIMEOUT_S)
            plain.sendall(_QUESTION)
            answer = plain.recv(_ANSWER.size, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == _ANSWER.size and _ANSWER.unpack(answer)[1] == b"aggr"


def _wrong_certificate(address: Address, client: Mapping[str, str]) -> str | None:
    try:
        _shake_hands(address, _context(client))
    except ssl.SSLCertVerificationError as error:
        hint = "" if error.verify_code in _SAYS_ENOUGH else " (trusted are those in ssl.ca.location)"
        message = error.verify_message.rstrip(".")
        return f"the TLS certificate of {address[0]}:{address[1]} is refused: {message}{hint}"
    except OSError:
        return None
    return None


_SAYS_ENOUGH: Final = frozenset({9, 10, 62, 64})
"""Codes of OpenSSL: not valid yet, expired, wrong host name, wrong IP address."""


def _context(client: Mapping[str, str]) -> ssl.SSLContext:
    """Trusts whom librdkafka trusts; raises OSError for files that cannot be read."""
    location = client.get("ssl.ca.location", _PROBE)
    named = None if location == _PROBE else location
    is_directory = Path(location).is_dir()
    context = ssl.create_default_context(
        cafile=None if is_directory else named,
        capath=named if is_directory else None,
        cadata=client.get("ssl.ca.pem"),
    )
    context.check_hostname = client.get("ssl.endpoint.identification.algorithm", "https") != "none"
    return context


def _shake_hands(address: Address, context: ssl.SSLContext) -> None:
    """Raises OSError, of which ``ssl.SSLError`` is one."""
    with (
        socket.create_connection(address, timeout=_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=address[0]),
    ):
        pass


def _address(found: re.Match[str]) -> Address:
    return found["host"].strip("[]"), int(found["port"])
