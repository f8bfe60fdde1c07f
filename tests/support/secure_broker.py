"""A broker with TLS, passwords and ACLs, beside an open listener for the test itself.

Every listener has a port and a certificate of its own; on the open one everybody may do everything.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.support.broker import HOST, PROPERTIES, SMALL, START_TIMEOUT_S, Broker, BrokerFailed, free_port
from tests.support.certificates import Authority, Issued
from tests.support.instances import wait_until

ADMIN_S: Final = 30.0
_ATTEMPTS: Final = 3

_LISTENERS: Final = {
    "PASSWORDS": ("SASL_SSL", "right"),
    "CERTIFICATES": ("SSL", "right"),
    "ENCRYPTED": ("SSL", "right"),
    "OTHERHOST": ("SSL", "other-host"),
    "EXPIRED": ("SSL", "expired"),
}
"""Protocol and certificate by name of the listener."""

_SECURITY: Final = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
ssl.keystore.type=PEM
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.certificates.ssl.client.auth=required
listener.name.certificates.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
listener.name.passwords.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.passwords.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.passwords.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""

Acl = tuple[ResourceType, str, AclOperation]
"""What, called what, may be done to it."""

ALL_RIGHTS: Final[list[Acl]] = [
    (ResourceType.TOPIC, "*", AclOperation.ALL),
    (ResourceType.GROUP, "*", AclOperation.ALL),
    (ResourceType.TRANSACTIONAL_ID, "*", AclOperation.ALL),
]


class SecureBroker(Broker):
    """One node; ``users`` are names and passwords, the same for SCRAM-SHA-512 and for PLAIN."""

    def __init__(self, directory: Path, users: dict[str, str]) -> None:
        super().__init__(directory, small=True)
        self.users = users
        self._ports = {name: free_port() for name in _LISTENERS}
        self.authority = Authority("authority of the test")
        self.authority_file = directory / "authority.pem"

    def listener(self, name: str) -> str:
        """Bootstrap servers of one listener."""
        return f"{HOST}:{self._ports[name]}"

    @classmethod
    def started(cls, directory: Path, users: dict[str, str]) -> Self:
        """One that runs; tried again if another program was faster to take one of its ports."""
        for attempt in range(_ATTEMPTS):
            candidate = cls(directory / str(attempt), users)
            try:
                return candidate.start()
            except BrokerFailed:
                is_slow = candidate.pid() is not None
                candidate.kill()
                if is_slow or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def login(self, user: str, mechanism: str = "SCRAM-SHA-512") -> Iterator[None]:
        """Variables that let streamagg in at the listener PASSWORDS, while the context lasts."""
        path = self.directory / f"password-{user}"
        path.touch(mode=0o600)
        path.write_text(self.users[user] + "\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STREAMAGG_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
            patch.setenv("STREAMAGG_KAFKA_SSL_CA_LOCATION", str(self.authority_file))
            patch.setenv("STREAMAGG_KAFKA_SASL_MECHANISM", mechanism)
            patch.setenv("STREAMAGG_KAFKA_SASL_USERNAME", user)
            patch.setenv("STREAMAGG_KAFKA_SASL_PASSWORD_FILE", str(path))
            yield

    def grant(self, user: str, acls: list[Acl]) -> None:
        """Allow a user this and nothing else."""
        client = AdminClient({"bootstrap.servers": self.address})
        anything: Any = None
        everything = AclBindingFilter(
            ResourceType.ANY,
            anything,
            ResourcePatternType.ANY,
            f"User:{user}",
            anything,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        client.delete_acls([everything], request_timeout=ADMIN_S)[everything].result(ADMIN_S)
        bindings = [
            AclBinding(
                kind,
                name,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                operation,
                AclPermissionType.ALLOW,
            )
            for kind, name, operation in acls
        ]
        for future in client.create_acls(bindings, request_timeout=ADMIN_S).values() if bindings else ():
            future.result(ADMIN_S)
        # The authorizer hears of it a moment later than the answer.
        wait_until(
            lambda: (
                len(client.describe_acls(everything, request_timeout=ADMIN_S).result(ADMIN_S))
                == len(bindings)
            ),
            "the ACLs",
        )

    def _format(self, library: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        data = self.directory / "data"
        self._properties.write_text(self._settings(data))
        if (data / "meta.properties").exists():
            return
        command = self._java(library, "kafka.tools.StorageTool", *SMALL)
        command += ["format", "-t", "s-secure-broker-0000000", "-c", str(self._properties)]
        for user, password in self.users.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise BrokerFailed(f"The storage of the broker could not be formatted: {done.stderr.strip()}")

    def _settings(self, data: Path) -> str:
        plain = PROPERTIES.format(
            host=HOST, port=self.port, controller_port=free_port(), data=data
        ).splitlines()
        addresses = "".join(f",{name}://{self.listener(name)}" for name in _LISTENERS)
        protocols = "".join(f",{name}:{protocol}" for name, (protocol, _) in _LISTENERS.items())
        longer = {
            "listeners": addresses,
            "advertised.listeners": addresses,
            "listener.security.protocol.map": protocols,
        }
        lines = [line + longer.get(line.partition("=")[0], "") for line in plain]
        users = " ".join(f'user_{user}="{password}"' for user, password in self.users.items())
        self.authority.write(self.authority_file)
        secured = _SECURITY.format(authority=self.authority_file, users=users)
        return "\n".join([*lines, secured, *self._keystores()]) + "\n"

    def _keystores(self) -> list[str]:
        made = {
            "right": self.authority.server(HOST),
            "other-host": self.authority.server("kafka.example"),
            "expired": self.authority.server(HOST, expired=True),
        }
        for name, issued in made.items():
            _write_keystore(self.directory / f"{name}.pem", issued)
        return [
            f"listener.name.{name.lower()}.ssl.keystore.location={self.directory / f'{which}.pem'}"
            for name, (_, which) in _LISTENERS.items()
        ]


def _write_keystore(path: Path, issued: Issued) -> None:
    path.touch(mode=0o600)
    path.write_text(issued.key + issued.certificate)
