"""Bearer tokens (RFC 6750): who may do more than look whether the server is well."""

import hashlib
import hmac
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from streamagg.http.problems import Problem

_SCHEME: Final = b"bearer "


class Tokens:
    """The tokens of which each request must bring one; none is needed where there are none."""

    def __init__(self, digests: Iterable[str] = ()) -> None:
        """``digests``: of ``digest``."""
        self.replace(digests)

    def replace(self, digests: Iterable[str]) -> None:
        """Take these from here on."""
        self._digests = tuple(map(bytes.fromhex, digests))

    def allow(self, authorization: bytes | None) -> bool:
        """The header brings one of them, or none is needed."""
        return not self._digests or self._knows(authorization or b"")

    def check(self, authorization: bytes | None) -> None:
        """Raises Problem (401) unless they allow it."""
        if not self.allow(authorization):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "A token is needed: send it in the header Authorization: Bearer TOKEN.",
                headers=[(b"www-authenticate", b"Bearer")],
            )

    def _knows(self, authorization: bytes) -> bool:
        """In a time that depends neither on the tokens nor on which of them it is."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        brought = hashlib.sha256(authorization[len(_SCHEME) :].strip()).digest()
        return sum([hmac.compare_digest(brought, digest) for digest in self._digests]) > 0


def digest(token: str) -> str:
    """What is kept of a token: it is in no memory dump, and all are equally long."""
    return hashlib.sha256(token.encode()).hexdigest()
