"""Settings as frozen values.

Durations and times are integer milliseconds and their names end in ``_ms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from streamagg.model.field_path import keys_of
from streamagg.model.places import Place, place_of

TimeUnit = Literal["s", "ms", "us", "ns", "iso8601"]
Framing = Literal["auto", "none", "registry"]
Delivery = Literal["exactly-once", "at-least-once"]
CountFormat = Literal["table", "jsonl", "csv"]
LogFormat = Literal["auto", "human", "json"]
AboveMaxUsers = Literal["stop", "approximate"]
AboveMaxGroups = Literal["stop", "totals"]
MeasureOp = Literal["count", "sum", "avg", "min", "max", "first", "last", "uniques"]


CLOCK_CALENDARS: Final = {
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 7 * 86_400_000,
    "month": 30 * 86_400_000,
    "year": 365 * 86_400_000,
}
"""Calendars that go by the clock of a time zone, and about how long their periods are, in milliseconds."""


@dataclass(frozen=True, slots=True)
class CalendarSettings:
    """A calendar: its periods follow each other, and each is a union of windows."""

    name: str
    """One of ``CLOCK_CALENDARS``, or the length of its periods as text; it is published."""
    length_ms: int
    """Of a period; of one of the clock about."""

    @property
    def by_clock(self) -> bool:
        """Its periods begin when the clock of a time zone says so."""
        return self.name in CLOCK_CALENDARS


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """What shapes the windows; every field is part of the fingerprint of a checkpoint."""

    granularity_ms: int = 60_000
    offset_ms: int = 0
    max_lag_ms: int = 5_000
    max_jump_ms: int = 6_000
    """How far ahead of its partition's clock a record is believed at once."""
    empty_windows: bool = False
    """Publish ``cnt: 0`` for windows without records that lie between published ones."""
    calendars: tuple[CalendarSettings, ...] = ()
    """Each once, the shortest periods first."""
    time_zone: str = "UTC"
    """Whose clock calendars go by: a name of the IANA database."""
    zone_data: str = ""
    """A digest of how that clock goes (``core.zone_clock``); empty for UTC."""

    @property
    def fewest_slots(self) -> int:
        """How many slots the ring needs at least, so that the slowest partition always finds one.

        Beside the window that is being filled and the one being published, those that max lag keeps open, and
        those of records within reach of a clock that stands.
        """
        return -(-(self.max_lag_ms + self.max_jump_ms) // self.granularity_ms) + 2


@dataclass(frozen=True, slots=True)
class CeilingSettings:
    """How many users and groups a window may have, and what happens above that.

    No part of the fingerprint: a window is counted anew from the log by every session, so that another
    ceiling holds for every window that is not published yet.
    """

    max_users: int | None = None
    above: AboveMaxUsers = "stop"
    max_groups: int = 100_000
    above_groups: AboveMaxGroups = "stop"
    """``totals``: such a window is published without its groups."""
    top: int | None = None
    """Only so many groups are published, those with the most users; None: all."""


def default_max_jump_ms(granularity_ms: int, max_lag_ms: int) -> int:
    """Max lag, at least a tenth of the granularity: a clock so far ahead makes hardly a record late."""
    return max(max_lag_ms, granularity_ms // 10, 1)


NO_CEILING: Final = CeilingSettings()
SKETCH_USERS: Final = 1 << 16
"""Users that an approximate count remembers: a lower ceiling would save nothing."""


RESERVED: Final = frozenset(
    {
        *("ts", "cnt", "users", "granularity", "records", "partial", "v", "approximate", "error"),
        *("group", "groups", "groups_dropped", "calendar", "start", "end", "through", "final", "key"),
    }
)
"""Names that no measure may have: published records have, or may get, fields of these names."""


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """A measure beside users and records: ``NAME=OP(PATH)``."""

    name: str
    """Under which it is published."""
    op: MeasureOp
    path: str
    """Dotted path of the field whose values it takes."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """What is taken of a payload; part of the fingerprint of a checkpoint."""

    time_field: str = "ts"
    """Dotted path from the root of the document."""
    user_field: str | None = "uid"
    """None: no users are counted."""
    time_unit: TimeUnit = "s"
    max_record_bytes: int = 1 << 20
    framing: Framing = "auto"
    """The five bytes of a schema registry before the document: auto skips them where they are."""
    group_by: tuple[str, ...] = ()
    """Dotted paths of the fields whose values name the group of a record."""
    measures: tuple[MeasureSettings, ...] = ()
    hash_seed: int = field(default=0, repr=False)
    """Of the hashes of users and groups, uint64; a secret where it is not 0, and so not in the ``repr``."""

    @property
    def number_fields(self) -> tuple[str, ...]:
        """Fields of the root that measures take as numbers."""
        paths = (keys_of(measure.path) for measure in self.measures if measure.op != "uniques")
        return tuple(dict.fromkeys(keys[0] for keys in paths if len(keys) == 1))

    @property
    def plain(self) -> bool:
        """Users and records are counted, and nothing else."""
        return self.user_field is not None and not self.group_by and not self.measures


PLAIN: Final = DecodeSettings()
"""Users are counted, and nothing else."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka."""

    bootstrap_servers: str = "127.0.0.1:9092"
    client: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Client settings passed through to librdkafka, checked against the refused ones; not in the ``repr``,
    because passwords are among them."""
    group: str = "streamagg"
    """Consumer group: where progress is kept. Every consumer bears its name, so that one right is enough."""


SETTLE_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where records come from."""

    input: str = ""
    """A topic, a directory or standard input: see ``places``."""
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    files: tuple[str, ...] = ()
    """Paths, ``-`` is standard input; partition ``i`` is file ``i``. Without any the input is read."""
    settle_ms: int = SETTLE_MS
    """As of a run."""
    live: bool = False
    """As of a run."""
    done_dir: str | None = None
    """As of a run."""
    number_fields: tuple[str, ...] = ()
    """Fields of the root that measures take as numbers: columns of CSV have no types."""

    @property
    def place(self) -> Place:
        """The input, taken apart."""
        return place_of(self.input)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How many processes work, and the limits they keep."""

    unmarshallers: int = 2
    aggregators: int = 1
    inline: bool = False
    """Everything in one process."""
    slots: int = 64
    """Windows that may be open at once."""
    idle_timeout_ms: int = 10_000
    max_restarts: int = 5
    """Restarts of workers within ten minutes before the program gives up."""


@dataclass(frozen=True, slots=True)
class StartAt:
    """Where reading begins: ``committed`` continues; all others start anew."""

    kind: Literal["committed", "earliest", "latest", "time"] = "committed"
    time_ms: int | None = None
    """Kafka timestamp (ms since the epoch) for kind ``time``."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where metrics and health are served."""

    address: str = "127.0.0.1:9464"
    """``host:port``; port 0 takes a free one."""
    required: bool = False
    """Nothing begins without it; the default address gives way to another instance on this machine."""


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where requests of others are served, and what each of them may take."""

    address: str = "127.0.0.1:8080"
    """``host:port``; port 0 takes a free one."""
    tls_certificate: str | None = None
    """A file in PEM; None serves without TLS."""
    tls_key: str | None = None
    """A file in PEM; None: it is in that of the certificate."""
    max_connections: int = 1_000
    """Of each process that serves."""
    request_timeout_ms: int = 30_000
    """Within which a whole request must have come."""
    access_log_ms: int = 10_000
    """One request of each class of status is logged in so long; 0 logs none."""

    @property
    def secure(self) -> bool:
        """With TLS."""
        return self.tls_certificate is not None


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """How long ``serve`` keeps windows and periods of some length."""

    length_ms: int
    """Of the longest of them."""
    keep_ms: int


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Everything that ``streamagg serve`` needs."""

    place: Place
    """What is followed: a topic, or a directory."""
    sketches: str | None = None
    """Topic of the sketches of users."""
    running: str | None = None
    """Topic of what open periods come to so far."""
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    listen: ListenSettings = ListenSettings()
    store: str = "streamagg-store"
    """A directory that is made if there is none."""
    keep: tuple[KeepSettings, ...] = ()
    """The shortest first; what none of them holds for is kept."""
    run_metrics: tuple[str, ...] = ()
    """Addresses of metrics pages."""
    max_questions: int = 32
    """That are worked on or wait."""
    question_timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Everything that ``streamagg ingest`` needs; tokens are read anew when they change, and are not here."""

    output: str
    """A topic, or ``dir:PATH``."""
    listen: ListenSettings = ListenSettings()
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    create_topics: bool = True
    output_partitions: int = 1
    output_replicas: int = -1
    """-1: the broker's default."""
    max_record_bytes: int = 1 << 20
    topic_bytes: int | None = None
    """What the topic takes in one request; None where that is not known."""
    max_body_bytes: int = 16 << 20
    """Also unpacked."""
    queue_bytes: int = 64 << 20
    """That wait to be written, in each worker."""
    idempotency_keys: int = 1_000_000
    """That are remembered at most."""
    roll_ms: int = 1_000
    """The age at which a file of an output directory is finished."""
    workers: int = 1
    max_restarts: int = 5
    """Restarts of workers within ten minutes before the program gives up."""
    http: HttpSettings | None = HttpSettings()

    @property
    def sink(self) -> Place:
        """Where records go."""
        return place_of(self.output)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that ``streamagg run`` needs."""

    input: str
    output: str
    """Places, as ``places`` takes them apart."""
    window: WindowSettings = WindowSettings()
    ceiling: CeilingSettings = CeilingSettings()
    decode: DecodeSettings = DecodeSettings()
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    pipeline: PipelineSettings = PipelineSettings()
    start: StartAt = StartAt()
    change_destination: bool = False
    """Continue though output, delivery, dead letter or late topic are not those of the checkpoint."""
    until_end: bool = False
    live: bool = False
    """Lines of standard input come as they are written: silence counts, although the run ends with them."""
    settle_ms: int = SETTLE_MS
    """How long a file of an input directory must be left alone to be taken for whole."""
    done_dir: str | None = None
    """Where files of an input directory go that are counted."""
    keep_open: bool = False
    hold_timeout_ms: int | None = None
    """How long a bounded run waits for records that cannot be read yet; None: as long as the broker lets a
    transaction be open."""
    delivery: Delivery = "exactly-once"
    create_topics: bool = True
    create_tables: bool = True
    """In an output that is a database."""
    output_partitions: int = 1
    output_replicas: int = -1
    """-1: the broker's default."""
    dead_letter: str | None = None
    """Topic for rejected records."""
    late_topic: str | None = None
    """Topic for references to late records."""
    sketches: str | None = None
    """Topic for sketches of users."""
    running: str | None = None
    """Compacted topic for what open periods of calendars come to so far."""
    state_topic: str | None = None
    """Compacted topic for what open periods of calendars hold, and for checkpoints of an input that is no
    topic; None where there are neither."""
    keep_ms: int | None = None
    """How long before the last day that is published a directory keeps days; None: all of them."""
    http: HttpSettings | None = HttpSettings()
    """None serves nothing."""
    stats_json: str | None = None

    @property
    def source(self) -> SourceSettings:
        """Where records come from."""
        return SourceSettings(
            self.input,
            self.kafka,
            settle_ms=self.settle_ms,
            live=self.live,
            done_dir=self.done_dir,
            number_fields=self.decode.number_fields,
        )

    @property
    def sink(self) -> Place:
        """Where results go."""
        return place_of(self.output)

    @property
    def published(self) -> tuple[str, ...]:
        """The topics that a transaction writes to, where the output is one."""
        topics = (self.output, self.late_topic, self.sketches, self.running, self.state_topic)
        return tuple(topic for topic in topics if topic is not None)


@dataclass(frozen=True, slots=True)
class CountSettings:
    """Everything that ``streamagg count`` needs."""

    files: tuple[str, ...]
    """Paths; ``-`` is standard input."""
    window: WindowSettings = WindowSettings()
    as_run: bool = False
    """By the rules of a run, which look at the order of records; else every record counts."""
    decode: DecodeSettings = DecodeSettings()
    pipeline: PipelineSettings = PipelineSettings()
    format: CountFormat = "table"
    stats_json: str | None = None
    ceiling: CeilingSettings = CeilingSettings()

    @property
    def source(self) -> SourceSettings:
        """Where records come from."""
        return SourceSettings(files=self.files)


@dataclass(frozen=True, slots=True)
class AdviseSettings:
    """Everything that ``streamagg advise`` needs."""

    input: str | None
    """The topic; None: files."""
    files: tuple[str, ...] = ()
    """Paths; ``-`` is standard input."""
    window: WindowSettings = WindowSettings()
    decode: DecodeSettings = DecodeSettings()
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    pipeline: PipelineSettings = PipelineSettings()
    hold_timeout_ms: int | None = None
    """As of a run."""
    start_ms: int | None = None
    """Kafka timestamp (ms since the epoch) of the first record to read; None: the oldest one."""

    @property
    def source(self) -> SourceSettings:
        """Where records come from."""
        return SourceSettings(self.input or "", self.kafka, self.files)
