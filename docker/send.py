"""Sends lines to ``streamagg ingest``, so many a second, each of them once: ``… | python send.py URL RATE``.

A body has a key of its own and is sent until it is taken: where an answer was lost, nothing counts twice.
"""

import sys
import time
from http.client import HTTPConnection, HTTPException
from itertools import count, islice
from urllib.parse import urlsplit
from uuid import uuid4

BODIES_A_SECOND = 10
TIMEOUT_S = 30
PAUSE_S = 1


def main() -> None:
    """Until there are no more lines."""
    url, lines_of_body = urlsplit(sys.argv[1]), max(1, int(sys.argv[2]) // BODIES_A_SECOND)
    connection = HTTPConnection(url.hostname or "", url.port, TIMEOUT_S)
    began = time.monotonic()
    for number in count():
        body = b"".join(islice(sys.stdin.buffer, lines_of_body))
        if not body:
            return
        time.sleep(max(0, began + number / BODIES_A_SECOND - time.monotonic()))
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": str(uuid4())}
        while not taken(connection, f"{url.path}?{url.query}", body, headers):
            time.sleep(PAUSE_S)


def taken(connection: HTTPConnection, target: str, body: bytes, headers: dict[str, str]) -> bool:
    """Whether it is there for good; if not, it may be sent again. Raises SystemExit if that is no use."""
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException) as error:
        print(f"no answer: {error!r}", file=sys.stderr)
        connection.close()
        return False
    if answer.status not in (200, 408, 409, 503):
        raise SystemExit(f"{answer.status}: {text.decode()}")
    return answer.status == 200


if __name__ == "__main__":
    main()
