"""Answers, and errors as answers: problem details by RFC 9457."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

Headers = Sequence[tuple[bytes, bytes]]
TEXT: Final = b"text/plain; charset=utf-8"
JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"


class Answer(NamedTuple):
    """What a request is answered with."""

    status: int
    body: bytes
    kind: bytes = JSON
    """Its media type."""
    headers: Headers = ()
    """Beside those of type and length."""


class Stream(NamedTuple):
    """An answer that comes piece by piece, for as long as somebody listens."""

    status: int
    pieces: AsyncGenerator[bytes, None]
    kind: bytes
    headers: Headers = ()


class Problem(Exception):
    """Ends a request with an error; the text says what is wrong and what to do about it."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Headers = (),
        more: Mapping[str, object] | None = None,
    ) -> None:
        """``more``: further members of the answer."""
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self._members = {
            "type": "about:blank",
            "title": status.phrase,
            "status": int(status),
            "detail": detail,
            **(more or {}),
        }

    def answer(self) -> Answer:
        """As JSON."""
        return Answer(self.status, orjson.dumps(self._members) + b"\n", PROBLEM, self.headers)


def overloaded(detail: str, retry_after_s: int = 1) -> Problem:
    """503: the same request can be right a moment later."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=[(b"retry-after", b"%d" % retry_after_s)])


def raw(answer: Answer) -> bytes:
    """The bytes of an answer that ends its connection, where there is no request to answer."""
    head = [
        b"HTTP/1.1 %d %s" % (answer.status, HTTPStatus(answer.status).phrase.encode()),
        b"content-type: " + answer.kind,
        b"content-length: %d" % len(answer.body),
        *(name + b": " + value for name, value in answer.headers),
        b"connection: close",
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + answer.body
