"""``streamagg serve``: opens the store, follows, answers, ends well."""

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from streamagg.errors import ExitCode, StreamaggError
from streamagg.events import Log
from streamagg.http.access_log import AccessLog
from streamagg.http.front import Front
from streamagg.http.meter import Meter, keys
from streamagg.http.numbers import SharedNumbers
from streamagg.http.server import check_packages, listener, load_certificate, server, tls_context, url_of
from streamagg.http.tokens import Tokens
from streamagg.model.settings import ServeSettings
from streamagg.serve.api.application import Application
from streamagg.serve.api.desk import Desk
from streamagg.serve.api.live import Happened, Live
from streamagg.serve.figures import Seen, registry
from streamagg.serve.follow.contract import Followed
from streamagg.serve.follow.directory import DirectoryFollowed
from streamagg.serve.following import Following
from streamagg.serve.run_metrics import RunMetrics
from streamagg.serve.running import RunningPeriods
from streamagg.serve.store.store import Position, Store
from streamagg.telemetry import logs

_LOOK_S: Final = 0.2
"""How often it is looked whether the end has come."""
log = Log(__name__)


class _Signals:
    """SIGTERM and SIGINT end it, a second SIGINT at once; SIGHUP reads tokens and certificate again."""

    def __init__(self) -> None:
        self.stop = False
        self.reload = False
        signal.signal(signal.SIGTERM, self._on_end)
        signal.signal(signal.SIGINT, self._on_end)
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        if self.stop and number == signal.SIGINT:
            os._exit(ExitCode.INTERRUPTED)
        self.stop = True
        logs.tell("stopping", "stopping ...")

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self.reload = True


class _Access:
    """Who may ask, and how: tokens and certificate, which can be renewed."""

    def __init__(self, settings: ServeSettings, read_tokens: Callable[[], list[str]]) -> None:
        """Raises SettingsError."""
        self._settings = settings
        self._read_tokens = read_tokens
        self.tokens = Tokens(read_tokens())
        self.context = tls_context(settings.listen)

    def renew(self) -> None:
        """What is in the files now, or what was, if these are wrong."""
        try:
            digests = self._read_tokens()
            if self.context is not None:
                load_certificate(self.context, self._settings.listen)
        except StreamaggError as error:
            log.warning("not_renewed", "{error} The former ones are kept.", error=error)
            return
        self.tokens.replace(digests)
        log.info("renewed", "tokens and certificate were read again")


def serve(settings: ServeSettings, read_tokens: Callable[[], list[str]]) -> None:
    """Follow and answer until stopped; raises StreamaggError.

    ``read_tokens``: digests of the tokens that are good now; asked again on SIGHUP.
    """
    check_packages()
    access = _Access(settings, read_tokens)
    signals = _Signals()
    with listener(settings.listen.address) as listening:
        store = Store(Path(settings.store))
        try:
            with asyncio.Runner(loop_factory=_loop) as runner:
                runner.run(_serve(settings, store, access, listening, signals))
        finally:
            store.close()


def _loop() -> Any:
    import uvloop

    return uvloop.new_event_loop()


async def _serve(
    settings: ServeSettings, store: Store, access: _Access, listening: Any, signals: _Signals
) -> None:
    loop = asyncio.get_running_loop()
    live, running = Live(secrets.token_hex(4)), RunningPeriods()

    def tell(events: Sequence[Happened]) -> None:
        loop.call_soon_threadsafe(live.publish, events)

    following = Following(store, opener(settings), tell, settings.keep, running)
    desk = Desk(store, settings.max_questions, settings.question_timeout_ms)
    application = Application(store, desk, live, running, following.standings)
    meter = Meter(SharedNumbers(keys(application.names), 1), application.names)
    application.show(registry(Seen(store, following.standings, desk, live, meter)))
    front = Front(application.find, access.tokens, meter, AccessLog(settings.listen.access_log_ms))
    serving = server(front, settings.listen, meter, access.context)
    thread = threading.Thread(target=following.run, name="following")
    asking = RunMetrics(settings.run_metrics, following.standings.told)
    thread.start()
    asking.start()
    task = asyncio.ensure_future(serving.serve(sockets=[listening]))
    url = url_of(listening, settings.listen)
    log.info("serving", "the page is at {url}", url=url)
    try:
        while not signals.stop and not task.done():
            await asyncio.sleep(_LOOK_S)
            if signals.reload:
                signals.reload = False
                access.renew()
    finally:
        live.close()
        serving.should_exit = True
        following.stop.set()
        await task
        desk.close()
        thread.join()
        asking.stop()


def opener(settings: ServeSettings) -> Callable[[Mapping[Position, str]], Followed]:
    """What opens the place that is followed."""

    if settings.place.kind == "directory":
        return partial(DirectoryFollowed, settings.place.at)

    def open_topics(positions: Mapping[Position, str]) -> Followed:
        from streamagg.serve.follow.topics import Topics, TopicsFollowed

        topics = Topics(settings.place.at, settings.sketches, settings.running)
        return TopicsFollowed(settings.kafka, topics, positions)

    return open_topics
