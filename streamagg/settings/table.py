"""The table of settings: what feeds flags, variables, the TOML file and docs/settings.md.

A setting called ``max_lag`` is the flag ``--max-lag``, the variable ``STREAMAGG_MAX_LAG`` and the
TOML key ``max_lag``.
"""

from dataclasses import dataclass
from typing import Final

from streamagg.settings.parsers import (
    Parse,
    brokers,
    choice,
    duration,
    field_path,
    file_to_write,
    listen_address,
    record_size,
    start_at,
    switch,
    text,
    topic_name,
    whole_number,
)

MAX_WORKERS: Final = 256


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

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "STREAMAGG_" + self.name.upper()

    @property
    def is_switch(self) -> bool:
        return self.parse is switch


TOPICS: Final = "Topics and Kafka"
WINDOWS: Final = "Windows of event time"
RECORDS: Final = "What a record looks like"
READING: Final = "Where to begin and when to end"
PROCESSES: Final = "Processes and memory"
REPORTS: Final = "Results, metrics and logs"

_ROWS: Final = (
    Setting(
        "bootstrap_servers",
        brokers,
        "Brokers to ask first: HOST:PORT, several joined by commas.",
        "HOSTS",
        TOPICS,
        "127.0.0.1:9092",
    ),
    Setting("input", topic_name, "Topic to read.", "TOPIC", TOPICS, default_note="required by run"),
    Setting("output", topic_name, "Topic to publish to.", "TOPIC", TOPICS, default_note="required by run"),
    Setting("dead_letter", topic_name, "Topic for rejected records.", "TOPIC", TOPICS, default_note="none"),
    Setting(
        "late_topic",
        topic_name,
        "Topic for references to late records.",
        "TOPIC",
        TOPICS,
        default_note="none",
    ),
    Setting(
        "group",
        text,
        "Consumer group: where progress is kept; instances of one group stand by for each other.",
        "NAME",
        TOPICS,
        "streamagg",
    ),
    Setting(
        "delivery",
        choice("exactly-once", "at-least-once"),
        "exactly-once, or at-least-once: publish first and commit then, without transactions.",
        "MODE",
        TOPICS,
        "exactly-once",
    ),
    Setting(
        "create_topics",
        switch,
        "Create the topics to write to when they are absent.",
        "",
        TOPICS,
        "true",
    ),
    Setting(
        "output_partitions",
        whole_number(1, 100_000),
        "Partitions of a created output topic.",
        "N",
        TOPICS,
        "1",
    ),
    Setting(
        "output_replicas",
        whole_number(1, 1_000),
        "Replicas of a created output topic.",
        "N",
        TOPICS,
        default_note="the broker's default",
    ),
    Setting("granularity", duration(1), "Length of a window.", "DURATION", WINDOWS, "60s"),
    Setting("max_lag", duration(0), "How long after its end a window stays open.", "DURATION", WINDOWS, "5s"),
    Setting(
        "max_jump",
        duration(1),
        "How far ahead of its partition's clock a record is believed at once.",
        "DURATION",
        WINDOWS,
        default_note="max lag, at least a tenth of the granularity",
    ),
    Setting(
        "window_offset",
        duration(0),
        "Shift of the window boundaries from the epoch.",
        "DURATION",
        WINDOWS,
        "0s",
    ),
    Setting(
        "empty_windows", switch, "Publish windows that nobody hit, with a count of 0.", "", WINDOWS, "false"
    ),
    Setting(
        "as_run",
        switch,
        "Count as run does: late and future records are left out, windows are printed as they close.",
        "",
        WINDOWS,
        default_note="true if max lag or max jump is given",
    ),
    Setting(
        "idle_timeout",
        duration(0),
        "How long a partition that is read to its end may be silent before time goes on without it.",
        "DURATION",
        WINDOWS,
        "10s",
    ),
    Setting(
        "max_users",
        whole_number(1),
        "Most unique users of a window that are counted exactly.",
        "N",
        WINDOWS,
        default_note="no limit",
    ),
    Setting(
        "above_max_users",
        choice("stop", "approximate"),
        "Above max users: stop before that window, or approximate its count.",
        "WHAT",
        WINDOWS,
        "stop",
    ),
    Setting(
        "time_field",
        field_path,
        "Field of the event time, dots for nesting, \\. for a dot in a name.",
        "PATH",
        RECORDS,
        "ts",
    ),
    Setting(
        "user_field",
        field_path,
        "Field of the user id, dots for nesting, \\. for a dot in a name.",
        "PATH",
        RECORDS,
        "uid",
    ),
    Setting(
        "time_unit",
        choice("s", "ms", "us", "ns", "iso8601"),
        "Unit of the event time: s, ms, us, ns or iso8601.",
        "UNIT",
        RECORDS,
        "s",
    ),
    Setting("max_record_bytes", record_size, "Larger records are rejected unread.", "SIZE", RECORDS, "1MiB"),
    Setting(
        "framing",
        choice("auto", "none", "registry"),
        "A schema registry's five bytes before the JSON: auto skips them where they are; none, registry.",
        "FORM",
        RECORDS,
        "auto",
    ),
    Setting(
        "from",
        start_at,
        "committed: continue. Start anew: earliest, latest or a time (ISO 8601 or epoch seconds).",
        "WHERE",
        READING,
        "committed",
    ),
    Setting(
        "change_destination",
        switch,
        "Continue, though output, delivery, dead-letter or late topic have changed since.",
        "",
        READING,
        "false",
    ),
    Setting("until_end", switch, "Stop at the end offsets seen at the start.", "", READING, "false"),
    Setting(
        "keep_open",
        switch,
        "With --until-end: leave the windows that are still open to the next run.",
        "",
        READING,
        "false",
    ),
    Setting(
        "hold_timeout",
        duration(0),
        "How long a reading that ends waits for records that cannot be read yet (an open transaction).",
        "DURATION",
        READING,
        default_note="the broker's transaction.max.timeout.ms, or 15m",
    ),
    Setting(
        "unmarshallers",
        whole_number(1, MAX_WORKERS),
        "Processes that fetch and decode.",
        "N",
        PROCESSES,
        default_note="one for each core, at most 8",
    ),
    Setting(
        "aggregators",
        whole_number(1, MAX_WORKERS),
        "Processes that count, each a share of the users.",
        "N",
        PROCESSES,
        default_note="one for each 8 cores",
    ),
    Setting("inline", switch, "Do everything in one process.", "", PROCESSES, "false"),
    Setting(
        "slots",
        whole_number(2, 100_000),
        "Windows that may be open at once.",
        "N",
        PROCESSES,
        default_note="64, more where max lag or max jump need it",
    ),
    Setting(
        "max_restarts",
        whole_number(0, 1_000),
        "Restarts of workers within ten minutes before giving up.",
        "N",
        PROCESSES,
        "5",
    ),
    Setting(
        "format",
        choice("table", "jsonl", "csv"),
        "How to print counts: table, jsonl or csv.",
        "FORM",
        REPORTS,
        "table",
    ),
    Setting(
        "stats_json",
        file_to_write,
        "Write the final counters to this file.",
        "PATH",
        REPORTS,
        default_note="not written",
    ),
    Setting(
        "http",
        listen_address,
        "Where metrics and health are served; a bare port binds to 127.0.0.1, off serves nothing.",
        "HOST:PORT",
        REPORTS,
        "127.0.0.1:9464",
    ),
    Setting(
        "log_level",
        choice("debug", "info", "warning", "error"),
        "Least urgent log line that is shown: debug, info, warning or error.",
        "LEVEL",
        REPORTS,
        "info",
    ),
    Setting(
        "log_format",
        choice("auto", "human", "json"),
        "Form of the log of run: human, json, or auto: human on a terminal, json elsewhere.",
        "FORM",
        REPORTS,
        "auto",
    ),
    Setting(
        "plain",
        switch,
        "Lines on a terminal too, instead of a panel or a progress bar.",
        "",
        REPORTS,
        "false",
    ),
)

SETTINGS: Final = {row.name: row for row in _ROWS}
