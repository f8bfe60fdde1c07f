"""What can be asked of ``ingest``: a POST of records, how to do that, and how it is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import orjson

from streamagg.http.front import Request, Route
from streamagg.http.meter import Meter
from streamagg.http.problems import TEXT, Answer, Problem, overloaded
from streamagg.ingest.destinations.contract import RECORD_BYTES, Body, NotWritten
from streamagg.ingest.figures import Figures
from streamagg.ingest.packing import ENCODINGS, TooLarge, Unpackable, unpack
from streamagg.ingest.records import MOST_RECORDS, Checked, Form, TooMany, check, told
from streamagg.ingest.room import Held, Room
from streamagg.ingest.seen_keys import Hashes, SeenKeys, hashes_of
from streamagg.model.field_path import keys_of

FORMS: Final[dict[bytes, Form]] = {
    b"application/json": "json",
    **dict.fromkeys(
        (b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines"),
        "lines",
    ),
}
"""By media type."""
ROUTES: Final = ("records", "how_to", "healthz", "readyz")
"""As they stand in metrics."""
MOST_KEY_BYTES: Final = 255
MOST_PATH_BYTES: Final = 255
RETRY_S: Final = 1
HOW_TO: Final = b"""\
POST /v1/records    one JSON object on each line (Content-Type: application/x-ndjson), which is the fast way,
                    or one object or an array of them (application/json); gzip and zstd (Content-Encoding).

    curl --data-binary @records.jsonl -H 'Content-Type: application/x-ndjson' URL/v1/records

200                 all of it has arrived for good; anything else: send it again, but for 400, 413 and 415.
?partial=true       send what is right although some lines are wrong; the answer says which.
?key_field=uid      records with the same text in this field stay in order (in the same partition).
Idempotency-Key     any text, new for each body: sent again within ten minutes, it is not written twice.
Authorization       Bearer TOKEN, where tokens are needed.

GET /healthz        the process answers.        GET /readyz     records can be written.
"""

Write = Callable[[Body], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may bring."""

    body_bytes: int
    """Also unpacked."""
    record_bytes: int
    keyed: bool
    """Records have partitions that a key can decide about."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks for, beside its body."""

    form: Form
    encoding: bytes | None
    partial: bool
    key_path: tuple[str, ...] | None


@dataclass(slots=True)
class Ingest:
    """The routes, and what they need."""

    limits: Limits
    room: Room
    seen: SeenKeys
    write: Write
    trouble: Callable[[], str | None]
    """Why nothing can be written at present."""
    figures: Figures
    meter: Meter
    routes: dict[str, Route] = field(init=False)

    def __post_init__(self) -> None:
        self.routes = {
            "/v1/records": Route("records", {"POST": self._post}),
            "/": Route("how_to", {"GET": self._how_to}, open=True),
            "/healthz": Route("healthz", {"GET": self._healthz}, open=True),
            "/readyz": Route("readyz", {"GET": self._readyz}, open=True),
        }

    async def _post(self, request: Request) -> Answer:
        asked = asked_for(request, self.limits)
        held = Held(self.room)
        try:
            body = await self._received(request, held)
            if asked.encoding is not None:
                body = _unpacked(body, asked.encoding, self.limits.body_bytes)
                held.more(len(body))
            checked = self._checked(body, asked)
            held.more(RECORD_BYTES * len(checked.records))
            if checked.bad and not asked.partial:
                raise _bad(checked)
            key = _key_of(request, body)
            # The records have bytes of their own, and may wait.
            del body
            await self._written(asked, key, checked)
        finally:
            held.give_back()
        return _answer(checked)

    async def _received(self, request: Request, held: Held) -> bytes:
        """The body as it came; takes room for it piece by piece."""
        most = self.limits.body_bytes
        if int(request.header(b"content-length") or 0) > most:
            raise _too_large(most)
        size, pieces, more = 0, [], True
        while more:
            chunk, more = await request.chunk()
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            held.more(len(chunk))
            pieces.append(chunk)
        self.meter.received(size)
        return b"".join(pieces)

    def _checked(self, body: bytes, asked: _Asked) -> Checked:
        try:
            checked = check(body, asked.form, self.limits.record_bytes)
        except TooMany:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have at most {MOST_RECORDS} records."
            ) from None
        self.figures.rejected(len(checked.bad))
        return checked

    async def _written(self, asked: _Asked, key: Hashes | None, checked: Checked) -> None:
        """Returns when all records are there; those of a key that is known are there already."""
        if key is None:
            await self._write(checked, asked)
        elif self._is_done(key):
            self.figures.repeated()
        else:
            try:
                await self._write(checked, asked)
            except Exception:
                self.seen.forget(key.key)
                raise
            self.seen.done(key.key)

    def _is_done(self, key: Hashes) -> bool:
        """Raises Problem if this request may not do it either."""
        match self.seen.begin(key.key, key.body):
            case "busy":
                raise Problem(
                    HTTPStatus.CONFLICT,
                    "The first request with this Idempotency-Key is still at work: send it again later.",
                    headers=[(b"retry-after", b"%d" % RETRY_S)],
                )
            case "other":
                raise Problem(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "This Idempotency-Key was used for another body: take a new one for each.",
                )
            case "full":
                raise overloaded("No more Idempotency-Keys can be remembered: send it again later.", 60)
            case verdict:
                return verdict == "done"

    async def _write(self, checked: Checked, asked: _Asked) -> None:
        if not checked.records:
            return
        try:
            await self.write(Body(checked.records, asked.key_path))
        except NotWritten as error:
            raise overloaded(f"{error} Some of it may be there: send it again.") from error
        self.figures.acknowledged(checked.records)

    async def _how_to(self, request: Request) -> Answer:
        return Answer(200, HOW_TO, TEXT)

    async def _healthz(self, request: Request) -> Answer:
        return Answer(200, b'{"live":true}\n')

    async def _readyz(self, request: Request) -> Answer:
        trouble = self.trouble()
        if trouble is None:
            return Answer(200, b'{"ready":true}\n')
        return Answer(503, orjson.dumps({"ready": False, "reasons": [trouble]}) + b"\n")


def asked_for(request: Request, limits: Limits) -> _Asked:
    """What can be known before the body is read. Raises Problem."""
    key = request.header(b"idempotency-key")
    if key is not None and not 0 < len(key) <= MOST_KEY_BYTES:
        raise Problem(HTTPStatus.BAD_REQUEST, f"Idempotency-Key must have 1 to {MOST_KEY_BYTES} bytes.")
    encoding = request.header(b"content-encoding")
    return _asked_for(request.query, request.header(b"content-type"), encoding, limits)


@lru_cache(256)
def _asked_for(
    query: bytes, content_type: bytes | None, content_encoding: bytes | None, limits: Limits
) -> _Asked:
    """Nearly all requests of a sender ask for the same."""
    parameters = _parameters(query)
    partial = parameters.pop("partial", "false")
    if partial not in ("true", "false"):
        raise Problem(HTTPStatus.BAD_REQUEST, "partial must be true or false.")
    key_path = _key_path(parameters.pop("key_field", None), limits)
    for name in parameters:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"There is no parameter {name[:50]}: partial and key_field are."
        )
    return _Asked(
        _form(content_type),
        _encoding(content_encoding),
        partial == "true",
        key_path,
    )


def _parameters(query: bytes) -> dict[str, str]:
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "The part of the address behind ? cannot be read.") from None
    return dict(pairs)


def _key_path(field: str | None, limits: Limits) -> tuple[str, ...] | None:
    if field is None:
        return None
    if not limits.keyed:
        raise Problem(HTTPStatus.BAD_REQUEST, "key_field has a meaning only where records go into a topic.")
    try:
        if len(field) > MOST_PATH_BYTES:
            raise ValueError
        return keys_of(field)
    except ValueError:
        text = "key_field must be the name of a field, or names joined by dots such as event.user.id."
        raise Problem(HTTPStatus.BAD_REQUEST, text) from None


def _form(content_type: bytes | None) -> Form:
    """Lines, if nothing else is said."""
    if content_type is None:
        return "lines"
    form = FORMS.get(content_type.partition(b";")[0].strip().lower())
    if form is None:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Content-Type must be application/x-ndjson for JSON lines, or application/json for one object or"
            " an array.",
            headers=[(b"accept-post", b", ".join(FORMS))],
        )
    return form


def _encoding(content_encoding: bytes | None) -> bytes | None:
    named = (content_encoding or b"").strip().lower()
    if named in (b"", b"identity"):
        return None
    if named not in ENCODINGS:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Content-Encoding must be gzip or zstd, or be left out.",
            headers=[(b"accept-encoding", b"gzip, zstd")],
        )
    return named


def _key_of(request: Request, body: bytes) -> Hashes | None:
    key = request.header(b"idempotency-key")
    if key is None:
        return None
    return hashes_of(key, request.header(b"authorization") or b"", body, request.query)


def _unpacked(packed: bytes, encoding: bytes, most_bytes: int) -> bytes:
    try:
        return unpack(packed, encoding, most_bytes)
    except TooLarge:
        raise _too_large(most_bytes) from None
    except Unpackable as error:
        text = f"The body is not what Content-Encoding says: {error}."
        raise Problem(HTTPStatus.BAD_REQUEST, text) from error


def _too_large(most_bytes: int) -> Problem:
    text = f"A body may have at most {most_bytes} bytes, unpacked too: send it in several."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)


def _bad(checked: Checked) -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "Some lines are no records, and nothing of the body was sent: mend them, or add ?partial=true.",
        more={"rejected": len(checked.bad), "errors": list(told(checked.bad))},
    )


def _answer(checked: Checked) -> Answer:
    if not checked.bad:
        return Answer(200, b'{"accepted":%d}\n' % len(checked.records))
    found = {
        "accepted": len(checked.records),
        "rejected": len(checked.bad),
        "errors": list(told(checked.bad)),
    }
    return Answer(200, orjson.dumps(found) + b"\n")
