"""Sends the lines of a file to a topic, as fast as possible or at a pace."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from time import monotonic
from types import FrameType
from typing import Final

from streamagg.errors import FileUnreadable, SettingsError, TopicError
from streamagg.kafka.admin import ensure_topic, partitions_of
from streamagg.kafka.sender import Sender, SendStats
from streamagg.model.field_path import keys_of
from streamagg.model.settings import DecodeSettings, KafkaSettings
from streamagg.signals import handled
from streamagg.sources.lines import MAX_LINE_BYTES, LineFile
from streamagg.telemetry import logs
from streamagg.tools.pace import EventTimePace, Pace, SteadyPace

PACE_WAIT_S: Final = 0.05
"""How often a stop, or a lost broker, is looked for while nothing is due."""
STOP_FLUSH_S: Final = 8.0
"""After an interruption, so long is waited for what is under way: less than the 10 s after which containers
are killed."""
NOT_TEXT: Final = "not text, but NUL bytes or other bytes than UTF-8"
TOO_LONG: Final = f"lines of more than {MAX_LINE_BYTES >> 20} MiB"
COMPRESSIONS: Final = ("none", "lz4", "zstd", "snappy", "gzip")

Watch = Callable[[SendStats, LineFile], None]
"""Called with the progress, about once for each block read or 20 times a second."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What is sent, where to, and how fast."""

    source: str
    """A file, or ``-`` for standard input."""
    topic: str
    kafka: KafkaSettings
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    rate: float | None = None
    """Records a second."""
    speed: float | None = None
    """Multiple of the speed of event time."""
    loop: bool = False
    key_field: str | None = None
    """Dotted path of the field that becomes the key, and so decides about the partition."""
    partitions: int | None = None
    """Create the topic with so many if it is absent, refuse it if it has another number."""
    compression: str = "none"
    raw: bool = False
    """Send what is not text as well, and of whatever format."""

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        if self.rate is not None and self.speed is not None:
            raise SettingsError("--rate and --speed exclude each other: give one of them.")
        if not all(value is None or 0 < value < float("inf") for value in (self.rate, self.speed)):
            raise SettingsError("--rate and --speed must be greater than 0.")
        if self.partitions is not None and self.partitions < 1:
            raise SettingsError("--partitions must be at least 1.")
        if self.key_field is not None:
            _key_path(self.key_field)
        if self.compression not in COMPRESSIONS:
            raise SettingsError(f"--compression must be one of {', '.join(COMPRESSIONS)}.")


@dataclass(frozen=True, slots=True)
class ReplayStats:
    """The outcome of a replay."""

    sent: SendStats
    seconds: float
    """From the first record to the last acknowledgement."""
    interrupted: bool
    unreadable: FileUnreadable | None = None
    """Why the file was not sent to its end."""

    @property
    def delivered(self) -> int:
        """Records that arrived."""
        return self.sent.records - self.sent.failed

    @property
    def records_per_second(self) -> float:
        """Records sent in a second."""
        return self.sent.records / self.seconds if self.seconds else 0.0


class Stopped(Exception):
    """The end was asked for while there was nothing to wait for but input."""


class StopSwitch:
    """SIGINT and SIGTERM ask for the end; the second one ends at once with KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self.waiting_for_input = False
        """A pipe can keep one waiting forever: then asking raises Stopped."""

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        logs.tell("stopping", "stopping ...")
        if self.waiting_for_input:
            raise Stopped

    def installed(self) -> AbstractContextManager[None]:
        """Handle the signals."""
        return handled((signal.SIGINT, signal.SIGTERM), self)


def replay(settings: ReplaySettings, stop: StopSwitch, watch: Watch) -> ReplayStats:
    """Send the file, until its end, damage or ``stop``; what did not arrive is counted in the outcome.

    Raises SettingsError, TopicError, KafkaUnreachable or KafkaFailed.
    """
    unreadable = None
    with LineFile(settings.source, raw=settings.raw) as file:
        if settings.loop and file.size is None:
            raise SettingsError(f"--loop needs a file that can be read again: {settings.source} is none.")
        if file.size is not None:
            _look_into(file)
        sender = Sender(
            settings.kafka,
            settings.topic,
            _prepare_topic(settings),
            compression=settings.compression,
            key_path=_key_path(settings.key_field) if settings.key_field else None,
        )
        started_s = monotonic()
        try:
            with suppress(Stopped):
                _send_file(file, sender, settings, stop, watch)
                while settings.loop and sender.stats.records and not _ended(sender, stop):
                    file.rewind()
                    _send_file(file, sender, settings, stop, watch)
        except FileUnreadable as error:
            unreadable = error
    sender.finish(_patience(stop))
    return ReplayStats(sender.stats, monotonic() - started_s, stop.requested, unreadable)


def _look_into(file: LineFile) -> None:
    """Before anything is done: raises SettingsError for a format that is not read."""
    with suppress(FileUnreadable):
        next(iter(file), None)
    file.rewind()


def _key_path(key_field: str) -> list[str]:
    try:
        return list(keys_of(key_field))
    except ValueError:
        raise SettingsError(
            "--key-field must be the name of a field, or names joined by single dots;"
            " a dot in a name is written \\."
        ) from None


def _prepare_topic(settings: ReplaySettings) -> int:
    """The number of partitions of the topic, which is created if asked for."""
    wanted = settings.partitions
    if wanted is None:
        return partitions_of(settings.kafka, settings.topic)
    found = ensure_topic(settings.kafka, settings.topic, partitions=wanted, config={})
    if found != wanted:
        raise TopicError(
            f"The topic {settings.topic} has {found} partitions, not {wanted}."
            " Leave --partitions out, or choose another topic."
        )
    return found


def _pace(settings: ReplaySettings, untimed: Counter[str]) -> Pace | None:
    if settings.rate is not None:
        return SteadyPace(settings.rate)
    return None if settings.speed is None else EventTimePace(settings.speed, settings.decode, untimed)


def _send_file(
    file: LineFile, sender: Sender, settings: ReplaySettings, stop: StopSwitch, watch: Watch
) -> None:
    pace, started_s = _pace(settings, sender.stats.untimed), monotonic()
    for records in _blocks(file, stop):
        for record in records:
            if (objection := _objection(record, settings)) is not None:
                _leave_out(sender, objection, settings)
                continue
            if pace is not None:
                due_s = started_s + pace.due_ms(record) / 1_000
                while (left_s := due_s - monotonic()) > 0 and not _ended(sender, stop):
                    sender.wait(min(left_s, PACE_WAIT_S))
                    watch(sender.stats, file)
                if _ended(sender, stop):
                    return
            sender.send(record)
        sender.wait(0)
        watch(sender.stats, file)
        if _ended(sender, stop):
            return


def _objection(record: bytes, settings: ReplaySettings) -> str | None:
    """Why a line is not sent."""
    if len(record) > MAX_LINE_BYTES:
        return TOO_LONG
    return None if settings.raw or is_text(record) else NOT_TEXT


def _leave_out(sender: Sender, objection: str, settings: ReplaySettings) -> None:
    """Count the line as one that did not arrive; raises SettingsError if it is the first one of all."""
    if objection == NOT_TEXT and not sender.stats.records:
        raise SettingsError(
            f"The first line of {settings.source} is {objection}, so that nothing was sent."
            " Give --raw to send what is there as it stands."
        )
    sender.leave_out(objection)


def is_text(record: bytes) -> bool:
    """UTF-8 without a NUL."""
    if b"\0" in record:
        return False
    if record.isascii():
        return True
    try:
        record.decode()
    except UnicodeDecodeError:
        return False
    return True


def _blocks(file: LineFile, stop: StopSwitch) -> Iterator[list[bytes]]:
    """The lines; while a pipe is waited for, the stop switch raises Stopped."""
    blocks = iter(file)
    while True:
        stop.waiting_for_input = file.size is None
        records = None if stop.requested else next(blocks, None)
        stop.waiting_for_input = False
        if records is None:
            return
        yield records


def _ended(sender: Sender, stop: StopSwitch) -> bool:
    return stop.requested or sender.lost


def _patience(stop: StopSwitch) -> Callable[[], bool]:
    """True until some seconds after the first time it finds that the end was asked for."""
    deadline_s: list[float] = []

    def patient() -> bool:
        if stop.requested and not deadline_s:
            deadline_s.append(monotonic() + STOP_FLUSH_S)
        return not deadline_s or monotonic() < deadline_s[0]

    return patient
