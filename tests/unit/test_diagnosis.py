"""What a handshake of our own finds out about a broker that librdkafka says too little of."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from streamagg.kafka.diagnosis import diagnosis
from streamagg.model.settings import KafkaSettings
from tests.support.certificates import Authority, Issued

REFUSED = (
    "ssl://{}/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: x"
)
AUTHORITY = Authority("authority of the test")
Serve = Callable[[Issued | None], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Factory of servers, with TLS or, without a certificate, mute; returns the address."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(issued: Issued | None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        context = None if issued is None else server_context(issued, tmp_path)
        thread = threading.Thread(target=accept, args=(listener, context))
        thread.start()
        listeners.append(listener)
        threads.append(thread)
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener, thread in zip(listeners, threads, strict=True):
        # Wakes up who waits in accept.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def server_context(issued: Issued, directory: Path) -> ssl.SSLContext:
    path = directory / "server.pem"
    path.write_text(issued.key + issued.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def accept(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with plain:
            if context is not None:
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    continue  # The client did not like the certificate.


def found(address: str, trouble: str | None, client: Mapping[str, str]) -> str | None:
    return diagnosis(KafkaSettings(address, client), trouble)


@pytest.fixture
def trusting(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "authority.pem"
    AUTHORITY.write(path)
    return {"security.protocol": "SSL", "ssl.ca.location": str(path)}


@pytest.mark.parametrize(
    ("host", "expired", "words"),
    [
        ("127.0.0.1", True, "is refused: certificate has expired"),
        ("127.0.0.2", False, "is refused: IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("kafka.example", False, "is refused: IP address mismatch"),
        ("127.0.0.1", False, None),
    ],
)
def test_what_is_wrong_with_a_certificate(
    serve: Serve, trusting: dict[str, str], host: str, expired: bool, words: str | None
) -> None:
    address = serve(AUTHORITY.server(host, expired=expired))
    text = found(address, REFUSED.format(address), trusting)
    assert text is None if words is None else words in str(text)
    assert text is None or text.startswith(f"the TLS certificate of {address}")


def test_an_authority_that_is_not_trusted(serve: Serve, trusting: dict[str, str]) -> None:
    address = serve(Authority("somebody else").server("127.0.0.1"))
    assert "(trusted are those in ssl.ca.location)" in str(found(address, REFUSED.format(address), trusting))
    inline = {"security.protocol": "sasl_ssl", "ssl.ca.pem": AUTHORITY.pem}
    assert "(trusted are those in ssl.ca.location)" in str(found(address, REFUSED.format(address), inline))


def test_names_are_not_compared_where_the_user_said_so(serve: Serve, trusting: dict[str, str]) -> None:
    address = serve(AUTHORITY.server("kafka.example"))
    lax = {**trusting, "ssl.endpoint.identification.algorithm": "none"}
    assert found(address, REFUSED.format(address), lax) is None


def test_a_client_without_tls_at_a_port_with_tls(serve: Serve) -> None:
    address = serve(AUTHORITY.server("127.0.0.1"))
    assert str(found(address, None, {})).startswith(f"{address} speaks TLS")
    assert str(found(f"{address},other:1", None, {"security.protocol": "SASL_PLAINTEXT"})).startswith(address)


@pytest.mark.parametrize(
    "trouble",
    [
        "ssl://h:1/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?",
        "ssl://h:1/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number",
        "ssl://h:1/bootstrap: Receive failed: Connection reset by peer",
        None,
    ],
)
def test_a_client_with_tls_at_a_port_without(trouble: str | None, trusting: dict[str, str]) -> None:
    """Whoever closed the connection first."""

    def answer() -> None:
        with listener.accept()[0] as plain:
            question = plain.recv(100)
            plain.sendall(struct.pack(">i4sh", 300, question[8:12], 0) + bytes(294))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        broker = threading.Thread(target=answer)
        broker.start()
        assert str(found(address, trouble, trusting)).startswith(f"{address} speaks no TLS")
        broker.join()


def test_nothing_is_said_of_a_server_that_is_mute_or_absent(serve: Serve, trusting: dict[str, str]) -> None:
    mute = serve(None)
    assert found(mute, None, {}) is None
    assert found(mute, REFUSED.format(mute), trusting) is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        absent = f"127.0.0.1:{taken.getsockname()[1]}"
        assert found(absent, "refused", {}) is None
        assert found(absent, REFUSED.format(absent), trusting) is None
    assert found("nonsense", None, {}) is None


def test_a_handshake_that_the_broker_ends(trusting: dict[str, str]) -> None:
    trouble = "ssl://h:1/bootstrap: Receive failed: ssl/tls alert bad certificate: SSL alert number 42"
    assert "it wants a client certificate" in str(found("h:1", trouble, trusting))
    assert found("h:1", "something else", trusting) is None
    assert found("h:1", None, trusting) is None
