"""``streamagg demo``: generated records through the whole pipeline, on an embedded broker, to look at.

1 start a broker inside this process, 2 start ``streamagg run`` on it, grouped by country, 3 send 24 minutes
of records, a minute of them each second, and count them a second time on the way, 4 read back what is
published and show it, 5 stop the run and compare, 6 leave a page to look at. Imports engine, kafka,
panel, tools and model.
"""

import signal
from contextlib import AbstractContextManager, nullcontext, suppress
from time import monotonic
from types import FrameType
from typing import Final

from rich.console import Console

from streamagg.demo.board import Board
from streamagg.demo.feed import CEILING, DECODE, MINUTES, WINDOW, Feed
from streamagg.demo.outputs import Outputs
from streamagg.demo.page import missing, served_page
from streamagg.demo.pipeline import RunningPipeline
from streamagg.demo.summary import print_summary
from streamagg.errors import DataDiffers, KafkaFailed
from streamagg.kafka.embedded import PARTITIONS, embedded_broker
from streamagg.model.settings import KafkaSettings
from streamagg.signals import handled
from streamagg.tools.comparison import VerifySettings, compare

INPUT: Final = "records"
OUTPUT: Final = "unique-users"
SKETCHES: Final = "unique-users-sketches"
SENDING: Final = "A minute of records is sent each second."
START_TIMEOUT_S: Final = 45.0
"""It takes about 5 s on an idle machine, 3 of them for the first assignment of the embedded group."""
STALL_S: Final = 30.0
"""If no window is published for so long, none will be: one closes every second."""
TICK_S: Final = 0.05
"""Twenty looks a second, so that what is due leaves on time and a stop takes effect at once."""


def run_demo(minutes: int = MINUTES, *, with_page: bool = True) -> None:
    """Run the show; raises DataDiffers if a window is not what the recount says, or a StreamaggError."""
    console = Console(highlight=False)
    with (
        handled([signal.SIGTERM], _interrupt),
        embedded_broker([INPUT, OUTPUT, SKETCHES]) as bootstrap,
        _page(bootstrap, with_page) as address,
    ):
        kafka = KafkaSettings(bootstrap)
        with RunningPipeline(bootstrap, INPUT, OUTPUT, SKETCHES) as pipeline:
            with Board(console) as board:
                _wait_until_ready(pipeline, board)
                feed = Feed(kafka, INPUT, PARTITIONS, minutes)
                with Outputs(kafka, OUTPUT, PARTITIONS) as outputs:
                    board.phase(SENDING if address is None else f"{SENDING} The page is at {address}")
                    _show(pipeline, feed, outputs, board)
                board.phase("Stopping the run, and comparing with the recount ...")
            stats = pipeline.stop()
        settings = VerifySettings(INPUT, OUTPUT, WINDOW, DECODE, kafka, ceiling=CEILING)
        found = compare(settings, feed.recount, outputs.records, stats.seconds)
        print_summary(console, found, stats, feed)
        if found.differences or not feed.agrees(stats):
            raise DataDiffers(
                "What was published is not what a recount of the records says."
                " Please report this, with what is printed above."
            )
        if with_page:
            _leave(console, address)


def _page(bootstrap: str, wanted: bool) -> AbstractContextManager[str | None]:
    return served_page(bootstrap, OUTPUT, SKETCHES) if wanted and missing() is None else nullcontext()


def _leave(console: Console, address: str | None) -> None:
    """The page to whoever looks at it, until it is enough."""
    if address is None:
        console.print(missing(), soft_wrap=True, markup=False)
        return
    console.print(f"the page is at {address}, Ctrl-C to stop", soft_wrap=True)
    with suppress(KeyboardInterrupt):
        signal.pause()


def _wait_until_ready(pipeline: RunningPipeline, board: Board) -> None:
    board.phase("Starting the processes and joining the consumer group (takes about 5 s) ...")
    deadline = monotonic() + START_TIMEOUT_S
    while not pipeline.ready():
        if monotonic() > deadline:
            raise KafkaFailed(
                f"The pipeline was not ready within {START_TIMEOUT_S:g} s: the machine is busy."
            )
        pipeline.wait(TICK_S)
        board.refresh()


def _show(pipeline: RunningPipeline, feed: Feed, outputs: Outputs, board: Board) -> None:
    """Until every window is published, or no more come."""
    began = progressed = monotonic()
    silent = False
    while monotonic() - progressed < STALL_S:
        feed.send(monotonic() - began, outputs.through_ms)
        if fresh := outputs.read(TICK_S):
            progressed = monotonic()
            board.add(fresh)
        board.status(pipeline.counters())
        board.refresh()
        pipeline.check()
        if feed.ended and not silent:
            silent = True
            progressed = monotonic()
            board.phase("All records are sent. The last minute closes by the clock, 5 s after its end ...")
        if silent and len(outputs.records) >= feed.published_records:
            return


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the show like Ctrl-C: with nothing left running."""
    raise KeyboardInterrupt
