"""``streamagg run``: checks the topics, starts the workers, ends well."""

import os
import signal
from types import FrameType

from streamagg.decode import NATIVE_AVAILABLE
from streamagg.engine.leadership.agreement import agree
from streamagg.engine.leadership.coordinator import Coordinator
from streamagg.engine.leadership.start_offsets import find_ends
from streamagg.engine.reporting.liveness import Outside
from streamagg.engine.reporting.stats import RunStats
from streamagg.engine.workers.contract import Workers
from streamagg.engine.workers.memory import collected_rarely
from streamagg.engine.workers.open import open_workers
from streamagg.errors import ExitCode
from streamagg.events import Log
from streamagg.model.messages import AggregatorSetup, UnmarshallerSetup
from streamagg.model.settings import RunSettings
from streamagg.sinks.open import open_leadership, open_sink
from streamagg.sources.open import open_source
from streamagg.telemetry import logs
from streamagg.telemetry.endpoint import Shown, open_endpoint

log = Log(__name__)


class _Stop:
    """Set by SIGTERM and SIGINT; a second SIGINT ends the process at once."""

    def __init__(self) -> None:
        self.requested = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            # The workers see their links close.
            os._exit(ExitCode.INTERRUPTED)
        self.requested = True
        logs.tell("stopping", "stopping ...")


def run(settings: RunSettings, outside: Outside) -> RunStats:
    """Count until stopped or, bounded, to the end; raises StreamaggError."""
    stop = _Stop()
    stop.install()
    source, sink = open_source(settings.source), open_sink(settings)
    source.partitions()
    agreement = agree(settings, source, sink, open_leadership(settings))
    sink.make()
    if not NATIVE_AVAILABLE:
        log.warning(
            "decoder_substituted",
            "decoding takes twice as long as it could: when streamagg was installed there was no C compiler,"
            " or the headers of Python were missing",
        )
    with open_endpoint(settings.http, Shown(outside.metrics.registry, outside.health)):
        workers = _open_workers(settings)
        try:
            with collected_rarely():
                ends = find_ends(source) if settings.until_end else None
                stats = Coordinator(settings, workers, agreement, ends, lambda: stop.requested, outside).run()
        finally:
            workers.close()
    if settings.stats_json is not None:
        stats.write(settings.stats_json)
    return stats


def _open_workers(settings: RunSettings) -> Workers:
    unmarshaller = UnmarshallerSetup(
        settings.decode, settings.window.max_jump_ms, settings.source, settings.dead_letter
    )
    aggregator = AggregatorSetup(
        settings.pipeline.slots,
        settings.ceiling,
        settings.decode,
        settings.window,
        sketches=settings.sketches is not None,
        running=settings.running is not None,
    )
    return open_workers(settings.pipeline, unmarshaller, aggregator)
