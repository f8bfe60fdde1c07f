"""Certificates made for one test: authorities, servers and clients, right ones and wrong ones."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY: Final = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, as PEM."""

    certificate: str
    key: str
    """PKCS 8, without a password."""
    encrypted_key: str | None = None
    """The same with the password that was asked for."""


class Authority:
    """Signs certificates; ``pem`` is what others have to trust."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), age_days=10, valid_days=100)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def write(self, path: Path) -> Self:
        """Write ``pem`` to a file."""
        path.write_text(self.pem)
        return self

    def server(self, host: str, *, expired: bool = False) -> Issued:
        """A certificate for a host name or an IP address; valid until tomorrow, or until yesterday."""
        return self._issue(host, _alternative(host), ExtendedKeyUsageOID.SERVER_AUTH, expired=expired)

    def client(self, name: str, password: str | None = None) -> Issued:
        """A certificate for a user; ``password`` encrypts a copy of the key."""
        return self._issue(name, x509.DNSName(name), ExtendedKeyUsageOID.CLIENT_AUTH, password=password)

    def _issue(
        self,
        common_name: str,
        alternative: x509.GeneralName,
        usage: x509.ObjectIdentifier,
        *,
        expired: bool = False,
        password: str | None = None,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(
                _name(common_name),
                self._name,
                key.public_key(),
                age_days=9,
                valid_days=8 if expired else 10,
            )
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM).decode() + self.pem,
            _pem(key, None),
            _pem(key, password) if password is not None else None,
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, age_days: int, valid_days: int
) -> x509.CertificateBuilder:
    begin = datetime.datetime.now(datetime.UTC) - age_days * _DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + valid_days * _DAY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey, password: str | None) -> str:
    encryption: serialization.KeySerializationEncryption = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password.encode())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()
