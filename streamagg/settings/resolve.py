"""From layers of text to frozen settings, with the checks that need more than one of them."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from streamagg.core.zone_clock import ZoneClock
from streamagg.errors import SettingsError
from streamagg.kafka.passthrough import refusal
from streamagg.model.places import STREAM, place_of
from streamagg.model.settings import (
    SKETCH_USERS,
    AdviseSettings,
    CalendarSettings,
    CeilingSettings,
    CountSettings,
    DecodeSettings,
    HttpSettings,
    IngestSettings,
    KafkaSettings,
    ListenSettings,
    LogFormat,
    PipelineSettings,
    RunSettings,
    ServeSettings,
    StartAt,
    WindowSettings,
    default_max_jump_ms,
)
from streamagg.settings.fields import check_fields
from streamagg.settings.given import Given
from streamagg.settings.layers import Layers
from streamagg.settings.parsers import topic_name
from streamagg.settings.places import check_places, check_records_place, require_topic
from streamagg.settings.quantities import duration_parts
from streamagg.settings.table import SETTINGS
from streamagg.settings.zones import fits, longest_granularity_ms

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Made = TypeVar("Made", bound="DataclassInstance")

MOST_UNMARSHALLERS: Final = 8
"""Beyond this the sequencer, which is one process, is what bounds the speed."""
CORES_PER_AGGREGATOR: Final = 8
"""An aggregator takes less than a twentieth of the CPU of the unmarshallers that feed it ("Where the time
goes" in REPORT.md)."""
_PRINTABLE: Final = re.compile("[ -~]+")
INGEST_ADDRESS: Final = "127.0.0.1:8080"
SERVE_ADDRESS: Final = "127.0.0.1:8181"
DEFAULT_SLOTS: Final = 64
"""An hour of minutes that partitions may be apart without waiting for each other."""


class Resolver:
    """Lays flags over the environment over a TOML file over defaults, and builds settings of it.

    ``flags`` may hold more than settings (those of a verb do); None means not given.
    Every method raises ``SettingsError``.
    """

    def __init__(
        self,
        flags: Mapping[str, object],
        environ: Mapping[str, str] = os.environ,
        config_path: Path | None = None,
    ) -> None:
        self._layers = Layers(flags, environ, config_path)

    def kafka(self) -> KafkaSettings:
        """How to reach Kafka; settings for its client are checked by librdkafka itself."""
        given = self._layers.client
        for key, written in given.items():
            reason = refusal(key, str(written.value))
            if reason:
                raise SettingsError(
                    f"The Kafka client setting {key} ({written.origin}) is refused: {reason}."
                )
        client = {key: str(written.value) for key, written in given.items()}
        if client:
            self._ask_librdkafka(given)
        return self._filled(KafkaSettings, client=client)

    def decode(self) -> DecodeSettings:
        """What is taken of a payload."""
        found = self._filled(
            DecodeSettings, user_field=self._layers.value("user_field"), hash_seed=self._layers.hash_seed
        )
        check_fields(found, self._layers.given)
        return found

    def window(self) -> WindowSettings:
        """What shapes the windows."""
        found = self._filled(WindowSettings)
        if found.offset_ms >= found.granularity_ms:
            raise SettingsError(
                f"window_offset = {self._layers.given('window_offset')} must be shorter than"
                f" granularity = {self._layers.given('granularity')}."
            )
        found = self._with_calendars(found)
        if self._layers.has("max_jump"):
            return found
        return replace(found, max_jump_ms=default_max_jump_ms(found.granularity_ms, found.max_lag_ms))

    def ceiling(self) -> CeilingSettings:
        """How many users and groups a window may have."""
        ceiling = self._filled(CeilingSettings)
        if not self._layers.value("group_by"):
            for name in ("top", "max_groups", "above_max_groups"):
                if self._layers.has(name):
                    raise SettingsError(
                        f"{name} = {self._layers.given(name)} has a meaning only for groups: add --group-by."
                    )
        if ceiling.above == "approximate":
            self._check_sketch(ceiling.max_users)
        return ceiling

    def pipeline(self) -> PipelineSettings:
        """How many processes work; the number of cores this process may use is the default."""
        cores = usable_cores()
        return self._filled(
            PipelineSettings,
            unmarshallers=self._layers.value("unmarshallers") or min(cores, MOST_UNMARSHALLERS),
            aggregators=self._layers.value("aggregators") or max(1, cores // CORES_PER_AGGREGATOR),
            slots=self._layers.value("slots") or max(DEFAULT_SLOTS, self.window().fewest_slots),
        )

    def run(self) -> RunSettings:
        """Everything that ``streamagg run`` needs."""
        read, written = self._layers.required("input"), self._layers.required("output")
        check_places(self._layers)
        self._check_topics_differ()
        if self._layers.value("keep_open") and not self._layers.value("until_end"):
            raise SettingsError(
                f"keep_open = {self._layers.given('keep_open')} has a meaning only for a run that ends:"
                " add --until-end or leave it out."
            )
        self._check_slots()
        if self._layers.value("delivery") == "exactly-once":
            self._check_names()
        window, decode = self.window(), self.decode()
        if self._layers.has("sketches") and decode.user_field is None:
            raise SettingsError(
                f"sketches = {self._layers.given('sketches')} are made of users, and none are counted:"
                " leave it out, or give a --user-field."
            )
        if self._layers.has("running") and not window.calendars:
            raise SettingsError(
                f"running = {self._layers.given('running')} gets what open periods come to so far, and there"
                " are none: add a calendar, such as --calendar day, or leave it out."
            )
        return self._filled(
            RunSettings,
            input=read,
            output=written,
            window=window,
            ceiling=self.ceiling(),
            decode=decode,
            kafka=self.kafka(),
            pipeline=self._pipeline_of(read),
            http=self.http(),
            until_end=self._ends(read),
            state_topic=self._state_topic(written) if keeps_state(read, written, window) else None,
        )

    def run_on_topics(self) -> RunSettings:
        """The same for a verb that knows nothing but topics."""
        settings = self.run()
        require_topic(self._layers, "input")
        require_topic(self._layers, "output")
        return settings

    def count(self, files: Sequence[str]) -> CountSettings:
        """Everything that ``streamagg count`` needs."""
        _check_stdin(files)
        as_run = self._as_run()
        if as_run:
            self._check_slots()
        return self._filled(
            CountSettings,
            files=tuple(files),
            window=self.window(),
            as_run=as_run,
            ceiling=self.ceiling(),
            decode=self.decode(),
            pipeline=self.pipeline(),
        )

    def serve(self) -> ServeSettings:
        """Everything that ``streamagg serve`` needs, but for tokens."""
        followed = self._layers.required("serve_from")
        place = place_of(followed)
        topics = [followed, *(self._layers.value(name) for name in ("sketches", "running"))]
        named = [topic for topic in topics if topic is not None]
        if len(set(named)) < len(named):
            raise SettingsError(
                "--from, --sketches and --running are different topics: each has its own records."
            )
        if place.kind != "topic" and len(named) > 1:
            raise SettingsError(
                "--sketches and --running are topics beside a topic: leave them out with dir:."
            )
        return self._filled(ServeSettings, place=place, kafka=self.kafka(), listen=self.listen(SERVE_ADDRESS))

    def ingest(self) -> IngestSettings:
        """Everything that ``streamagg ingest`` needs, but for tokens."""
        written = self._layers.required("output")
        check_records_place(self._layers)
        if self._layers.value("queue") < self._layers.value("max_body"):
            raise SettingsError(
                f"queue = {self._layers.given('queue')} must have room for a body of"
                f" max_body = {self._layers.given('max_body')}."
            )
        topic = place_of(written).kind == "topic"
        return self._filled(
            IngestSettings,
            output=written,
            listen=self.listen(INGEST_ADDRESS),
            kafka=self.kafka() if topic else KafkaSettings(),
            workers=self._layers.value("workers") or min(usable_cores(), MOST_UNMARSHALLERS),
            http=self.http(),
        )

    def listen(self, default: str) -> ListenSettings:
        """Where requests of others are served, by default there, and what each of them may take."""
        if self._layers.has("tls_key") and not self._layers.has("tls_certificate"):
            raise SettingsError(
                f"tls_key = {self._layers.given('tls_key')} needs the certificate that it belongs to: add"
                " --tls-certificate."
            )
        return self._filled(ListenSettings, address=self._layers.value("listen") or default)

    def tokens(self) -> list[str]:
        """Digests of the tokens that are in their file now; none where no token is needed."""
        return self._layers.tokens()

    def http(self) -> HttpSettings | None:
        """Where metrics and health are served; None for nowhere."""
        address = self._layers.value("http")
        return None if address is None else HttpSettings(address, required=self._layers.has("http"))

    def advise(self, files: Sequence[str]) -> AdviseSettings:
        """Everything that ``streamagg advise`` needs: ``files``, or else the input topic."""
        _check_stdin(files)
        start: StartAt = self._layers.value("from")
        if start.kind == "latest":
            raise SettingsError(
                f"from = {self._layers.given('from')} leaves nothing to read: give earliest or a time."
            )
        if not files:
            self._layers.required("input")
            require_topic(self._layers, "input")
        return self._filled(
            AdviseSettings,
            input=None if files else self._layers.required("input"),
            files=tuple(files),
            window=self.window(),
            decode=self.decode(),
            kafka=KafkaSettings() if files else self.kafka(),
            pipeline=self.pipeline(),
            start_ms=start.time_ms,
        )

    def log_level(self) -> str:
        """debug, info, warning or error."""
        level: str = self._layers.value("log_level")
        return level

    def log_format(self) -> LogFormat:
        """auto, human or json."""
        form: LogFormat = self._layers.value("log_format")
        return form

    def plain(self) -> bool:
        """Lines on a terminal too."""
        plain: bool = self._layers.value("plain")
        return plain

    def _filled(self, made: type[Made], **by_hand: object) -> Made:
        """A class of settings, its fields filled by the table; one that is given no value has its default."""
        names = {field.name for field in fields(made)} - by_hand.keys()
        by_table = {
            row.field: self._layers.value(row.name) for row in SETTINGS.values() if row.field in names
        }
        return made(**by_hand, **{name: value for name, value in by_table.items() if value is not None})

    def _pipeline_of(self, read: str) -> PipelineSettings:
        """Standard input belongs to this process alone."""
        pipeline = self.pipeline()
        return replace(pipeline, inline=True) if place_of(read).kind == "stream" else pipeline

    def _ends(self, read: str) -> bool:
        """Standard input ends when it is closed, whatever is asked for."""
        return place_of(read).kind == "stream" or bool(self._layers.value("until_end"))

    def _as_run(self) -> bool:
        """As it is given, else whether anything is given that only has a meaning then."""
        given: bool | None = self._layers.value("as_run")
        return self._layers.has("max_lag") or self._layers.has("max_jump") if given is None else given

    def _check_slots(self) -> None:
        slots: int | None = self._layers.value("slots")
        if slots is not None and slots < self.window().fewest_slots:
            raise SettingsError(
                f"slots = {self._layers.given('slots')} cannot hold the windows that may be open with"
                f" max_lag = {self._layers.given('max_lag')}, max_jump = {self._layers.given('max_jump')} and"
                f" granularity = {self._layers.given('granularity')}: give at least"
                f" {self.window().fewest_slots} slots."
            )

    def _with_calendars(self, window: WindowSettings) -> WindowSettings:
        """The same with its calendars checked and in order, and a digest of the clock that they go by."""
        calendars = sorted(window.calendars, key=lambda calendar: (calendar.length_ms, calendar.name))
        for calendar, following in pairwise(calendars):
            if calendar == following:
                raise SettingsError(f"{self._named(calendar)} is given twice: once will do.")
        clock = ZoneClock(window.time_zone)
        for calendar in calendars:
            self._check_calendar(calendar, clock, window)
        if window.time_zone == "UTC":
            return replace(window, calendars=tuple(calendars))
        if not any(calendar.by_clock for calendar in calendars):
            raise SettingsError(
                f"time_zone = {self._layers.given('time_zone')} has a meaning only for hours, days, weeks,"
                " months or years: add one of them, such as --calendar day, or leave it out."
            )
        return replace(window, calendars=tuple(calendars), zone_data=clock.digest())

    def _check_calendar(self, calendar: CalendarSettings, clock: ZoneClock, window: WindowSettings) -> None:
        """Every period is a union of windows, and longer than one."""
        granularity = f"granularity = {self._layers.given('granularity')}"
        granularity_ms = window.granularity_ms
        if calendar.length_ms <= granularity_ms:
            raise SettingsError(f"{self._named(calendar)} must be longer than {granularity}.")
        if not calendar.by_clock and calendar.length_ms % granularity_ms:
            raise SettingsError(f"{self._named(calendar)} must be a multiple of {granularity}.")
        if calendar.by_clock and not fits(calendar, clock, granularity_ms, window.offset_ms):
            longest_ms = longest_granularity_ms(calendar, clock)
            raise SettingsError(
                f"{self._named(calendar)} begins inside a window of {granularity} in the time zone"
                f" {window.time_zone}: give a granularity that divides {duration_parts(longest_ms)}, and no"
                " window_offset."
            )

    def _named(self, calendar: CalendarSettings) -> str:
        """One of several, as it stands in errors."""
        return f"calendar = {Given(calendar.name, self._layers.given('calendar').origin)}"

    def _check_sketch(self, max_users: int | None) -> None:
        above = f"above_max_users = {self._layers.given('above_max_users')}"
        if max_users is None:
            raise SettingsError(f"{above} needs a ceiling: add --max-users.")
        if max_users < SKETCH_USERS:
            raise SettingsError(
                f"max_users = {self._layers.given('max_users')} is less than the {SKETCH_USERS} users that an"
                " approximate count remembers anyhow: give at least as many."
            )
        if find_spec("datasketches") is None:
            raise SettingsError(
                f"{above} needs the package datasketches: install it with pip install 'streamagg[sketch]'."
            )

    def _check_topics_differ(self) -> None:
        seen: dict[str, str] = {}
        for name in ("input", "output", "dead_letter", "late_topic", "sketches", "running"):
            topic = self._layers.value(name)
            if topic in seen and topic != STREAM:
                raise SettingsError(
                    f"{name} = {self._layers.given(name)} is also"
                    f" {seen[topic]} = {self._layers.given(seen[topic])}: give two different topics."
                )
            if topic is not None:
                seen[topic] = name

    def _state_topic(self, output: str) -> str:
        """Where open periods are kept: each group has its own."""
        name = f"{output}.{self._layers.value('group')}.state"
        if name == self._layers.value("running"):
            raise SettingsError(
                f"running = {self._layers.given('running')} is where open periods are kept: give another one."
            )
        try:
            return str(topic_name(name))
        except ValueError as error:
            raise SettingsError(
                f"group = {self._layers.given('group')} makes {name} of the topic that keeps open periods,"
                f" which must be {error}."
            ) from None

    def _check_names(self) -> None:
        """The client hands on group and member, whose name begins with client.id, as such text only."""
        names = {"group": self._layers.given("group")}
        if "client.id" in (client := self._layers.client):
            names["client.id"] = client["client.id"]
        for name, given in names.items():
            if not _PRINTABLE.fullmatch(str(given.value)):
                raise SettingsError(
                    f"{name} = {given} must consist of printable ASCII characters for exactly-once:"
                    " choose another name, or --delivery at-least-once."
                )

    @staticmethod
    def _ask_librdkafka(given: Mapping[str, Given]) -> None:
        from streamagg.kafka.client import objection  # librdkafka takes 0.1 s to load

        text = objection({key: str(written.value) for key, written in given.items()})
        if text is None:
            return
        blamed = [key for key in given if key in text] or list(given)
        origins = ", ".join(given[key].origin for key in blamed)
        raise SettingsError(f"The Kafka client does not accept {', '.join(blamed)} ({origins}): {text}.")


def keeps_state(read: str, written: str, window: WindowSettings) -> bool:
    """A topic of its own is needed for open periods, and for checkpoints that are not offsets of a topic."""
    if place_of(written).kind != "topic" or place_of(read).kind == "stream":
        return False
    return bool(window.calendars) or place_of(read).kind != "topic"


def _check_stdin(files: Sequence[str]) -> None:
    if files.count("-") > 1:
        raise SettingsError("Standard input (-) can be read only once.")


def usable_cores() -> int:
    """Cores this process may run on, which a container can make fewer than there are."""
    return len(os.sched_getaffinity(0))
