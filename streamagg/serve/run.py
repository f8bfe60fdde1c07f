"""``streamagg serve``: opens the store, follows, answers, ends well."""

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from streamagg.errors import ExitCode
from streamagg.events import Log
from streamagg.http.access_log import AccessLog
from streamagg.http.front import Front
from streamagg.http.meter import Meter, keys
from streamagg.http.numbers import SharedNumbers
from streamagg.http.server import check_packages, listener, server, tls_context, url_of
from streamagg.http.tokens import Tokens
from streamagg.model.settings import ServeSettings
from streamagg.serve.api.application import Application
from streamagg.serve.api.desk import Desk
from streamagg.serve.api.live import Happened, Live
from streamagg.serve.follow.contract import Followed
from streamagg.serve.following import Following
from streamagg.serve.running import RunningPeriods
from streamagg.serve.store.store import Position, Store
from streamagg.telemetry import logs

_LOOK_S: Final = 0.2
"""How often it is looked whether the end has come."""
log = Log(__name__)


class _Stop:
    """Set by SIGTERM and SIGINT; a second SIGINT ends the process at once."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            os._exit(ExitCode.INTERRUPTED)
        self.requested = True
        logs.tell("stopping", "stopping ...")


def serve(settings: ServeSettings, tokens: Tokens) -> None:
    """Follow and answer until stopped; raises StreamaggError."""
    check_packages()
    context = tls_context(settings.listen)
    stop = _Stop()
    with listener(settings.listen.address) as listening:
        store = Store(Path(settings.store))
        try:
            with asyncio.Runner(loop_factory=_loop) as runner:
                runner.run(_serve(settings, store, tokens, listening, context, stop))
        finally:
            store.close()


def _loop() -> Any:
    import uvloop

    return uvloop.new_event_loop()


async def _serve(
    settings: ServeSettings, store: Store, tokens: Tokens, listening: Any, context: Any, stop: _Stop
) -> None:
    loop = asyncio.get_running_loop()
    live, running = Live(secrets.token_hex(4)), RunningPeriods()

    def tell(events: Sequence[Happened]) -> None:
        loop.call_soon_threadsafe(live.publish, events)

    following = Following(store, opener(settings), tell, settings.keep, running)
    desk = Desk(store, settings.max_questions, settings.question_timeout_ms)
    application = Application(store, desk, live, running, following.standings)
    meter = Meter(SharedNumbers(keys(application.names), 1), application.names)
    front = Front(application.find, tokens, meter, AccessLog(settings.listen.access_log_ms))
    serving = server(front, settings.listen, meter, context)
    thread = threading.Thread(target=following.run, name="following")
    thread.start()
    task = asyncio.ensure_future(serving.serve(sockets=[listening]))
    url = url_of(listening, settings.listen)
    log.info("serving", "the page is at {url}", url=url)
    try:
        while not stop.requested and not task.done():
            await asyncio.sleep(_LOOK_S)
    finally:
        live.close()
        serving.should_exit = True
        following.stop.set()
        await task
        desk.close()
        thread.join()


def opener(settings: ServeSettings) -> Callable[[Mapping[Position, str]], Followed]:
    """What opens the place that is followed."""

    def open_topics(positions: Mapping[Position, str]) -> Followed:
        from streamagg.serve.follow.topics import Topics, TopicsFollowed

        topics = Topics(settings.place.at, settings.sketches, settings.running)
        return TopicsFollowed(settings.kafka, topics, positions)

    return open_topics
