"""Settings of Kafka's Java client, from those of librdkafka that a user passes through."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from streamagg.errors import SettingsError

SECRETS: Final = frozenset(
    {"sasl.jaas.config", "ssl.keystore.key", "ssl.key.password", "ssl.keystore.password"}
)
"""Of the Java client, which nobody else may see."""
_LOGIN: Final = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_SAME: Final = (
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "heartbeat.interval.ms",
    "metadata.max.age.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
)
_RENAMED: Final = {
    "socket.timeout.ms": "request.timeout.ms",
    "socket.receive.buffer.bytes": "receive.buffer.bytes",
    "socket.send.buffer.bytes": "send.buffer.bytes",
    "ssl.cipher.suites": "ssl.cipher.suites",
    "ssl.ca.pem": "ssl.truststore.certificates",
    "ssl.certificate.pem": "ssl.keystore.certificate.chain",
    "ssl.key.pem": "ssl.keystore.key",
    **{name: name for name in _SAME},
}
_FILES: Final = {
    "ssl.ca.location": "ssl.truststore.certificates",
    "ssl.certificate.location": "ssl.keystore.certificate.chain",
    "ssl.key.location": "ssl.keystore.key",
}
"""What is in the file is handed on: a cluster need not have it."""
_STORES: Final = {
    "ssl.truststore.certificates": ("ssl.truststore.type", "PEM"),
    "ssl.keystore.certificate.chain": ("ssl.keystore.type", "PEM"),
    "ssl.keystore.location": ("ssl.keystore.type", "PKCS12"),
}
_LOGGING_IN: Final = ("sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password")
_OF_DAEMONS: Final = ("group.protocol", "max.poll.interval.ms")
"""A job has its own; they hold while counts are moved to it and back."""
_CHANGED: Final[Mapping[str, Callable[[str], str]]] = {
    "security.protocol": str.upper,
    "ssl.endpoint.identification.algorithm": lambda name: "" if name == "none" else name,
}
KNOWN: Final = frozenset({*_RENAMED, *_FILES, *_CHANGED, *_LOGGING_IN, *_OF_DAEMONS})
"""Settings of librdkafka that a job has something for."""


def java_settings(client: Mapping[str, str]) -> dict[str, str]:
    """Raises SettingsError for what the Java client has nothing for, and for a file that cannot be read."""
    unknown = sorted(client.keys() - KNOWN)
    if unknown:
        raise SettingsError(
            f"A job on Flink cannot hand the client setting {unknown[0]} on to Kafka's Java client:"
            f" leave it out; it knows {', '.join(sorted(KNOWN))}."
        )
    found = {_RENAMED[name]: value for name, value in client.items() if name in _RENAMED}
    found |= {name: change(client[name]) for name, change in _CHANGED.items() if name in client}
    found |= {_FILES[name]: _text(name, path) for name, path in client.items() if name in _FILES}
    found |= dict(_STORES[name] for name in found.keys() & _STORES.keys())
    return found | _login(client)


def _text(name: str, path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: {path} cannot be read as text: {error}.") from None


def _login(client: Mapping[str, str]) -> dict[str, str]:
    mechanism = client.get("sasl.mechanism", client.get("sasl.mechanisms"))
    if mechanism is None and "sasl.username" not in client:
        return {}
    if mechanism not in _LOGIN:
        raise SettingsError(
            f"A job on Flink cannot log in with sasl.mechanism={mechanism}: it knows {', '.join(_LOGIN)}."
        )
    user, password = (_quoted(client.get(f"sasl.{name}", "")) for name in ("username", "password"))
    words = f"{_LOGIN[mechanism]} required username={user} password={password};"
    return {"sasl.mechanism": mechanism, "sasl.jaas.config": words}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
