"""Looks as soon as the kernel tells of a change, where the package watchdog is there.

What it does not tell, because it is not installed, watches no network file system or has lost events, is
found by looking every second anyway.
"""

from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from streamagg.errors import StreamaggError
from streamagg.events import Log

_PAUSE_S: Final = 0.05
"""Between two looks: many files come at once."""

log = Log(__name__)


def watch(root: str, look: Callable[[], None]) -> None:
    """Call ``look`` after changes below a directory, in a thread that ends with the process."""
    changed = Event()
    try:
        _listen(root, changed.set)
    except ImportError:
        log.debug(
            "watch_unavailable", "changes of {path} are looked for: {error}", path=root, error="no watchdog"
        )
        return
    except OSError as error:
        log.info("watch_unavailable", "changes of {path} are looked for: {error}", path=root, error=error)
        return
    Thread(target=_look_for_ever, args=(changed, look), name="watch", daemon=True).start()


def _listen(root: str, tell: Callable[[], None]) -> None:
    from watchdog import events
    from watchdog.observers import Observer

    class Handler(events.FileSystemEventHandler):
        def on_any_event(self, event: events.FileSystemEvent) -> None:
            tell()

    # Not what readers do: they open and close.
    wanted = [
        events.FileCreatedEvent,
        events.FileModifiedEvent,
        events.FileMovedEvent,
        events.DirCreatedEvent,
    ]
    observer = Observer()
    observer.schedule(Handler(), root, recursive=True, event_filter=wanted)
    observer.start()


def _look_for_ever(changed: Event, look: Callable[[], None]) -> None:
    pause = Event()
    while True:
        changed.wait()
        changed.clear()
        try:
            look()
        except StreamaggError as error:
            # Whoever looks every second ends the run with it.
            log.debug("look_failed", "looking is tried again: {error}", error=error)
        pause.wait(_PAUSE_S)
