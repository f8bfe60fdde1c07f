"""What uvicorn costs without anything behind it: the whole body is taken, and answered."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"15")],
}
_BODY: Final = {"type": "http.response.body", "body": b'{"accepted":1}\n'}


async def answer(
    scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """An application of ASGI."""
    while (await receive())["more_body"]:
        pass
    await send(_START)
    await send(_BODY)
