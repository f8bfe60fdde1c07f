"""The table of settings: what feeds flags, variables, the TOML file and docs/settings.md.

A setting called ``max_lag`` is the flag ``--max-lag``, the variable ``STREAMAGG_MAX_LAG`` and the
TOML key ``max_lag``. A new one is a row here, a field in ``model/settings.py``, and the place where that is
used: verbs make their flags of the rows (``cli/options.py``), and ``resolve.py`` fills the fields by name.
"""

from dataclasses import dataclass
from typing import Final

from streamagg.settings.parsers import (
    Parse,
    address,
    brokers,
    calendar,
    choice,
    duration,
    field_path,
    file_to_read,
    file_to_write,
    listen_address,
    measure,
    place_to_read,
    place_to_write,
    record_size,
    start_at,
    switch,
    text,
    time_zone,
    topic_name,
    user_field,
    whole_number,
)

MAX_WORKERS: Final = 256
"""A typing error should not start a thousand processes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    parse: Parse
    help: str
    metavar: str
    panel: str
    default: str | None = None
    """As a user would write it; None: absent, or worked out from others (see ``default_note``)."""
    default_note: str = ""
    verbs: str = ""
    """Those that take the flag, blanks between them; their help shows it in the order of the table."""
    fills: str = ""
    """The field of a settings class that it fills, if that is not called as the setting is."""
    repeated: bool = False
    """Given many times, a tuple for its field: the flag again and again, an array in TOML, in a variable
    joined by commas. ``parse`` takes one of them."""

    @property
    def field(self) -> str:
        return self.fills or self.name

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "STREAMAGG_" + self.name.upper()

    def parsed(self, written: object) -> object:
        """What is made of what was written; raises ``ValueError`` with what would be valid."""
        if not self.repeated:
            return self.parse(written)
        each = written if isinstance(written, list | tuple) else map(str.strip, str(written).split(","))
        return tuple(map(self.parse, each))

    @property
    def is_switch(self) -> bool:
        return self.parse is switch


TOPICS: Final = "Topics and Kafka"
WINDOWS: Final = "Windows of event time"
RECORDS: Final = "What a record looks like"
ANSWERS: Final = "Groups and measures"
REQUESTS: Final = "Requests over HTTP"
READING: Final = "Where to begin and when to end"
PROCESSES: Final = "Processes and memory"
SERVING: Final = "Questions and answers"
REPORTS: Final = "Results, metrics and logs"

_ROWS: Final = (
    # First, since it opens the help of its verb.
    Setting(
        "format",
        choice("table", "jsonl", "csv"),
        "How to print counts: table, jsonl or csv.",
        "FORM",
        REPORTS,
        "table",
        verbs="count",
    ),
    Setting(
        "input",
        place_to_read,
        "Where to read: a topic, dir:PATH, or - for standard input.",
        "PLACE",
        TOPICS,
        default_note="required by run",
        verbs="run advise verify flink",
    ),
    Setting(
        "output",
        place_to_write,
        "Where to publish: a topic, dir:PATH, postgresql://USER@HOST/DATABASE, or - for standard output.",
        "PLACE",
        TOPICS,
        default_note="required by run",
        verbs="run verify flink ingest",
    ),
    Setting(
        "bootstrap_servers",
        brokers,
        "Brokers to ask first: HOST:PORT, several joined by commas.",
        "HOSTS",
        TOPICS,
        "127.0.0.1:9092",
        verbs="run advise verify replay flink ingest serve",
    ),
    Setting(
        "group",
        text,
        "Consumer group: where progress is kept; instances of one group stand by for each other.",
        "NAME",
        TOPICS,
        "streamagg",
        verbs="run flink",
    ),
    Setting(
        "delivery",
        choice("exactly-once", "at-least-once"),
        "exactly-once, or at-least-once: publish first and commit then, without transactions.",
        "MODE",
        TOPICS,
        "exactly-once",
        verbs="run flink",
    ),
    Setting(
        "dead_letter",
        topic_name,
        "Topic for rejected records.",
        "TOPIC",
        TOPICS,
        default_note="none",
        verbs="run flink",
    ),
    Setting(
        "late_topic",
        topic_name,
        "Topic for references to late records.",
        "TOPIC",
        TOPICS,
        default_note="none",
        verbs="run flink",
    ),
    Setting(
        "sketches",
        topic_name,
        "Topic for sketches of the users of each window, period and group.",
        "TOPIC",
        TOPICS,
        default_note="none",
        verbs="run serve",
    ),
    Setting(
        "running",
        topic_name,
        "Compacted topic for what the open periods of calendars come to so far.",
        "TOPIC",
        TOPICS,
        default_note="none",
        verbs="run serve",
    ),
    Setting(
        "create_topics",
        switch,
        "Create the topics to write to when they are absent.",
        "",
        TOPICS,
        "true",
        verbs="run flink ingest",
    ),
    Setting(
        "output_partitions",
        whole_number(1, 100_000),
        "Partitions of a created output topic.",
        "N",
        TOPICS,
        "1",
        verbs="run flink ingest",
    ),
    Setting(
        "output_replicas",
        whole_number(1, 1_000),
        "Replicas of a created output topic.",
        "N",
        TOPICS,
        default_note="the broker's default",
        verbs="run flink ingest",
    ),
    Setting(
        "keep",
        duration(86_400_000),
        "Days that an output directory keeps, counted back from the last one published.",
        "DURATION",
        TOPICS,
        default_note="all of them",
        verbs="run",
        fills="keep_ms",
    ),
    Setting(
        "granularity",
        duration(1),
        "Length of a window.",
        "DURATION",
        WINDOWS,
        "60s",
        verbs="run count advise verify flink",
        fills="granularity_ms",
    ),
    Setting(
        "max_lag",
        duration(0),
        "How long after its end a window stays open.",
        "DURATION",
        WINDOWS,
        "5s",
        verbs="run count advise verify flink",
        fills="max_lag_ms",
    ),
    Setting(
        "max_jump",
        duration(1),
        "How far ahead of its partition's clock a record is believed at once.",
        "DURATION",
        WINDOWS,
        default_note="max lag, at least a tenth of the granularity",
        verbs="run count advise verify flink",
        fills="max_jump_ms",
    ),
    Setting(
        "as_run",
        switch,
        "Count as run does: late and future records are left out, windows are printed as they close.",
        "",
        WINDOWS,
        default_note="true if max lag or max jump is given",
        verbs="count",
    ),
    Setting(
        "window_offset",
        duration(0),
        "Shift of the window boundaries from the epoch.",
        "DURATION",
        WINDOWS,
        "0s",
        verbs="run count advise verify flink",
        fills="offset_ms",
    ),
    Setting(
        "empty_windows",
        switch,
        "Publish windows that nobody hit, with a count of 0.",
        "",
        WINDOWS,
        "false",
        verbs="run count verify flink",
    ),
    Setting(
        "calendar",
        calendar,
        "Count periods beside the windows: hour, day, week (from Monday), month, year, or a DURATION.",
        "PERIOD",
        WINDOWS,
        default_note="none",
        verbs="run count verify flink",
        fills="calendars",
        repeated=True,
    ),
    Setting(
        "time_zone",
        time_zone,
        "Whose clock says when an hour, a day, a week, a month or a year begins.",
        "ZONE",
        WINDOWS,
        "UTC",
        verbs="run count verify flink",
    ),
    Setting(
        "idle_timeout",
        duration(0),
        "How long a partition that is read to its end may be silent before time goes on without it.",
        "DURATION",
        WINDOWS,
        "10s",
        verbs="run flink",
        fills="idle_timeout_ms",
    ),
    Setting(
        "max_users",
        whole_number(1),
        "Most unique users of a window that are counted exactly.",
        "N",
        WINDOWS,
        default_note="no limit",
        verbs="run count verify flink",
    ),
    Setting(
        "above_max_users",
        choice("stop", "approximate"),
        "Above max users: stop before that window, or approximate its count.",
        "WHAT",
        WINDOWS,
        "stop",
        verbs="run count verify",
        fills="above",
    ),
    Setting(
        "time_field",
        field_path,
        "Field of the event time, dots for nesting, \\. for a dot in a name.",
        "PATH",
        RECORDS,
        "ts",
        verbs="run count advise verify replay flink",
    ),
    Setting(
        "user_field",
        user_field,
        "Field of the user id, dots for nesting, \\. for a dot in a name; none counts no users.",
        "PATH",
        RECORDS,
        "uid",
        verbs="run count advise verify flink",
    ),
    Setting(
        "time_unit",
        choice("s", "ms", "us", "ns", "iso8601"),
        "Unit of the event time: s, ms, us, ns or iso8601.",
        "UNIT",
        RECORDS,
        "s",
        verbs="run count advise verify replay flink",
    ),
    Setting(
        "max_record_bytes",
        record_size,
        "Larger records are rejected unread.",
        "SIZE",
        RECORDS,
        "1MiB",
        verbs="run count advise verify flink ingest",
    ),
    Setting(
        "framing",
        choice("auto", "none", "registry"),
        "A schema registry's five bytes before the JSON: auto skips them where they are; none, registry.",
        "FORM",
        RECORDS,
        "auto",
        verbs="run count advise verify flink",
    ),
    Setting(
        "hash_seed_file",
        text,
        "File with a secret, of at least 16 bytes, that seeds the hashes of users and groups.",
        "PATH",
        RECORDS,
        default_note="no seed",
        verbs="run count verify flink",
    ),
    Setting(
        "group_by",
        field_path,
        "Field whose values make groups, each with a count of its own; repeatable, up to 4 fields.",
        "PATH",
        ANSWERS,
        default_note="none",
        verbs="run count advise verify flink",
        repeated=True,
    ),
    Setting(
        "measure",
        measure,
        "Further number: NAME=OP(PATH), OP of count, sum, avg, min, max, first, last, uniques; repeatable.",
        "MEASURE",
        ANSWERS,
        default_note="none",
        verbs="run count advise verify flink",
        fills="measures",
        repeated=True,
    ),
    Setting(
        "top",
        whole_number(1),
        "Publish only the N groups of a window with the most users.",
        "N",
        ANSWERS,
        default_note="all groups",
        verbs="run count verify flink",
    ),
    Setting(
        "max_groups",
        whole_number(1),
        "Most groups of a window.",
        "N",
        ANSWERS,
        "100000",
        verbs="run count verify flink",
    ),
    Setting(
        "above_max_groups",
        choice("stop", "totals"),
        "Above max groups: stop before that window, or publish it without its groups.",
        "WHAT",
        ANSWERS,
        "stop",
        verbs="run count verify flink",
        fills="above_groups",
    ),
    Setting(
        "listen",
        address,
        "Where requests are served; a bare port binds to 127.0.0.1.",
        "HOST:PORT",
        REQUESTS,
        default_note="127.0.0.1:8080, of serve 127.0.0.1:8181",
        verbs="ingest serve",
    ),
    Setting(
        "token_file",
        file_to_read,
        "File of the bearer tokens of which requests must bring one, a line each; read again on SIGHUP.",
        "PATH",
        REQUESTS,
        default_note="no token is needed",
        verbs="ingest serve",
    ),
    Setting(
        "tls_certificate",
        file_to_read,
        "File with the certificate of the server and those that lead to its authority, in PEM.",
        "PATH",
        REQUESTS,
        default_note="no TLS",
        verbs="ingest serve",
    ),
    Setting(
        "tls_key",
        file_to_read,
        "File with the key of that certificate, in PEM, without a password.",
        "PATH",
        REQUESTS,
        default_note="in the file of the certificate",
        verbs="ingest serve",
    ),
    Setting(
        "max_connections",
        whole_number(1, 1_000_000),
        "Most connections of a worker; on further ones requests are answered with 503.",
        "N",
        REQUESTS,
        "1000",
        verbs="ingest serve",
    ),
    Setting(
        "request_timeout",
        duration(1),
        "How long a whole request may take to come.",
        "DURATION",
        REQUESTS,
        "30s",
        verbs="ingest serve",
        fills="request_timeout_ms",
    ),
    Setting(
        "access_log",
        duration(0),
        "One request of each class of status is logged in so long; 0s logs none.",
        "DURATION",
        REQUESTS,
        "10s",
        verbs="ingest serve",
        fills="access_log_ms",
    ),
    Setting(
        "max_body",
        record_size,
        "Larger bodies are refused, also those that are larger when unpacked.",
        "SIZE",
        REQUESTS,
        "16MiB",
        verbs="ingest",
        fills="max_body_bytes",
    ),
    Setting(
        "queue",
        record_size,
        "What may wait in a worker to be written; beyond it requests are answered with 503.",
        "SIZE",
        REQUESTS,
        "64MiB",
        verbs="ingest",
        fills="queue_bytes",
    ),
    Setting(
        "idempotency_keys",
        whole_number(1, 100_000_000),
        "Most Idempotency-Keys remembered within ten minutes, at 40 bytes each.",
        "N",
        REQUESTS,
        "1000000",
        verbs="ingest",
    ),
    Setting(
        "roll",
        duration(10),
        "Age at which a file of an output directory is finished, so that readers see it.",
        "DURATION",
        REQUESTS,
        "1s",
        verbs="ingest",
        fills="roll_ms",
    ),
    Setting(
        "workers",
        whole_number(1, MAX_WORKERS),
        "Processes that take requests, all at one port.",
        "N",
        REQUESTS,
        default_note="one for each core, at most 8",
        verbs="ingest",
    ),
    Setting(
        "from",
        start_at,
        "committed: continue. Start anew: earliest, latest or a time (ISO 8601 or epoch seconds).",
        "WHERE",
        READING,
        "committed",
        verbs="run flink",
        fills="start",
    ),
    Setting(
        "change_destination",
        switch,
        "Continue, though output, delivery, dead-letter or late topic have changed since.",
        "",
        READING,
        "false",
        verbs="run",
    ),
    Setting(
        "until_end",
        switch,
        "Stop at the end offsets seen at the start.",
        "",
        READING,
        "false",
        verbs="run flink",
    ),
    Setting(
        "live",
        switch,
        "Of standard input: lines come as they are written, and time goes on in silence.",
        "",
        READING,
        "false",
        verbs="run",
    ),
    Setting(
        "settle",
        duration(0),
        "How long a file of an input directory must be left alone to be taken for whole.",
        "DURATION",
        READING,
        "2s",
        verbs="run",
        fills="settle_ms",
    ),
    Setting(
        "done_dir",
        text,
        "Move the files of an input directory here when a checkpoint covers them.",
        "PATH",
        READING,
        default_note="none",
        verbs="run",
    ),
    Setting(
        "keep_open",
        switch,
        "With --until-end: leave the windows that are still open to the next run.",
        "",
        READING,
        "false",
        verbs="run flink",
    ),
    Setting(
        "hold_timeout",
        duration(0),
        "How long a reading that ends waits for records that cannot be read yet (an open transaction).",
        "DURATION",
        READING,
        default_note="the broker's transaction.max.timeout.ms, or 15m",
        verbs="run advise verify",
        fills="hold_timeout_ms",
    ),
    Setting(
        "unmarshallers",
        whole_number(1, MAX_WORKERS),
        "Processes that fetch and decode.",
        "N",
        PROCESSES,
        default_note="one for each core, at most 8",
        verbs="run count advise",
    ),
    Setting(
        "aggregators",
        whole_number(1, MAX_WORKERS),
        "Processes that count, each a share of the users.",
        "N",
        PROCESSES,
        default_note="one for each 8 cores",
        verbs="run count",
    ),
    Setting(
        "inline", switch, "Do everything in one process.", "", PROCESSES, "false", verbs="run count advise"
    ),
    Setting(
        "slots",
        whole_number(2, 100_000),
        "Windows that may be open at once.",
        "N",
        PROCESSES,
        default_note="64, more where max lag or max jump need it",
        verbs="run count",
    ),
    Setting(
        "max_restarts",
        whole_number(0, 1_000),
        "Restarts of workers within ten minutes before giving up.",
        "N",
        PROCESSES,
        "5",
        verbs="run ingest",
    ),
    Setting(
        "http",
        listen_address,
        "Where metrics and health are served; a bare port binds to 127.0.0.1, off serves nothing.",
        "HOST:PORT",
        REPORTS,
        "127.0.0.1:9464",
        verbs="run health",
    ),
    Setting(
        "store",
        text,
        "Directory of what is kept; made anew from what was published if it is deleted.",
        "DIR",
        SERVING,
        "streamagg-store",
        verbs="serve",
    ),
    Setting(
        "max_questions",
        whole_number(1, 10_000),
        "Questions that are worked on or wait; more are told to come again.",
        "N",
        SERVING,
        "32",
        verbs="serve",
    ),
    Setting(
        "question_timeout",
        duration(1),
        "How long a question may take.",
        "DURATION",
        SERVING,
        "10s",
        verbs="serve",
        fills="question_timeout_ms",
    ),
    Setting(
        "stats_json",
        file_to_write,
        "Write the final counters to this file.",
        "PATH",
        REPORTS,
        default_note="not written",
        verbs="run count",
    ),
    Setting(
        "plain",
        switch,
        "Lines on a terminal too, instead of a panel or a progress bar.",
        "",
        REPORTS,
        "false",
        verbs="run count advise verify replay",
    ),
    Setting(
        "log_level",
        choice("debug", "info", "warning", "error"),
        "Least urgent log line that is shown: debug, info, warning or error.",
        "LEVEL",
        REPORTS,
        "info",
        verbs="run count advise verify replay flink ingest serve",
    ),
    Setting(
        "log_format",
        choice("auto", "human", "json"),
        "Form of the log of run and serve: human, json, or auto: human on a terminal, json elsewhere.",
        "FORM",
        REPORTS,
        "auto",
        verbs="run ingest serve",
    ),
)

SETTINGS: Final = {row.name: row for row in _ROWS}
