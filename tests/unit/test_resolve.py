"""Settings in layers, and errors that name the setting, its origin and what would be valid."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from streamagg.errors import SettingsError
from streamagg.model.settings import (
    CeilingSettings,
    CountSettings,
    DecodeSettings,
    HttpSettings,
    KafkaSettings,
    KeepSettings,
    RunSettings,
    StartAt,
    WindowSettings,
)
from streamagg.settings import resolve
from streamagg.settings.resolve import Resolver, usable_cores
from streamagg.settings.table import SETTINGS

TOPICS = {"input": "in", "output": "out"}


def resolved(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Resolver:
    return Resolver(flags or {}, environ or {}, path)


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text, "utf-8")
    return path


def refused(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> str:
    """The error of a run with two topics and these settings."""
    with pytest.raises(SettingsError) as caught:
        Resolver({**TOPICS, **(flags or {})}, environ or {}, path).run()
    return str(caught.value)


def test_the_defaults_of_the_table_are_those_of_the_settings() -> None:
    assert resolved().window() == WindowSettings()
    assert resolved().decode() == DecodeSettings()
    assert resolved().kafka() == KafkaSettings()
    run = resolved(TOPICS).run()
    assert run == RunSettings(input="in", output="out", kafka=run.kafka, pipeline=run.pipeline)
    count = resolved().count(["a"])
    assert count == CountSettings(files=("a",), pipeline=count.pipeline)


def test_the_cores_give_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cores in (1, 2, 8, 64):
        monkeypatch.setattr("streamagg.settings.resolve.usable_cores", lambda cores=cores: cores)
        pipeline = resolved().pipeline()
        found.append((pipeline.unmarshallers, pipeline.aggregators))
    assert found == [(1, 1), (2, 1), (8, 1), (8, 8)]
    assert usable_cores() >= 1


def test_a_flag_goes_before_a_variable_before_the_file_before_the_default(tmp_path: Path) -> None:
    path = toml(tmp_path, 'granularity = "1s"\nmax_lag = "1s"\nmax_jump = "1s"\n')
    environ = {"STREAMAGG_MAX_LAG": "2s", "STREAMAGG_MAX_JUMP": "2s"}
    window = resolved({"max_jump": "3s", "max_lag": None}, environ, path).window()
    assert window == WindowSettings(granularity_ms=1_000, max_lag_ms=2_000, max_jump_ms=3_000)


@pytest.mark.parametrize(("max_lag", "max_jump_ms"), [("2s", 2_000), ("0s", 1_000), ("1m", 60_000)])
def test_max_jump_is_max_lag_and_at_least_a_tenth_of_the_granularity(max_lag: str, max_jump_ms: int) -> None:
    assert resolved({"granularity": "10s", "max_lag": max_lag}).window().max_jump_ms == max_jump_ms


def test_the_file_can_be_named_by_a_variable(tmp_path: Path) -> None:
    path = toml(tmp_path, 'user_field = "user.id"')
    assert resolved({}, {"STREAMAGG_CONFIG": str(path)}).decode().user_field == "user.id"


def test_values_of_toml_have_its_types(tmp_path: Path) -> None:
    path = toml(tmp_path, "granularity = 30\nslots = 12\nempty_windows = true\nmax_record_bytes = 1000\n")
    resolver = resolved({}, {}, path)
    assert (resolver.window().granularity_ms, resolver.window().empty_windows) == (30_000, True)
    assert (resolver.pipeline().slots, resolver.decode().max_record_bytes) == (12, 1_000)


def test_names_with_an_underscore_behind_are_the_flags_of_that_name() -> None:
    run = resolved({"input_": "in", "output": "out", "from_": "2016-07-11T13:39:44Z"}).run()
    assert (run.input, run.start) == ("in", StartAt("time", 1_468_244_384_000))


@pytest.mark.parametrize(
    ("text", "kind"), [("committed", "committed"), ("earliest", "earliest"), ("latest", "latest")]
)
def test_where_to_begin(text: str, kind: str) -> None:
    assert resolved({**TOPICS, "from_": text}).run().start.kind == kind


@pytest.mark.parametrize(("text", "address"), [("9100", "127.0.0.1:9100"), ("0.0.0.0:1", "0.0.0.0:1")])
def test_an_address_that_was_asked_for_is_required(text: str, address: str) -> None:
    assert resolved({**TOPICS, "http": text}).run().http == HttpSettings(address, required=True)


def test_the_default_address_is_not_required() -> None:
    assert resolved(TOPICS).run().http == HttpSettings("127.0.0.1:9464", required=False)


@pytest.mark.parametrize("given", [{"group": "größe"}, {"group": "a\tb"}, {"kafka": ["client.id=größe"]}])
def test_names_that_the_client_cannot_hand_on_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="printable ASCII"):
        resolved({**TOPICS, **given}).run()
    assert resolved({**TOPICS, **given, "delivery": "at-least-once"}).run().delivery == "at-least-once"


def test_the_consumer_protocol_goes_without_settings_of_the_other() -> None:
    protocol = "group.protocol=consumer"
    assert resolved({**TOPICS, "kafka": [protocol]}).run().kafka.client == {"group.protocol": "consumer"}
    with pytest.raises(SettingsError, match=r"session\.timeout\.ms"):
        resolved({**TOPICS, "kafka": [protocol, "session.timeout.ms=3000"]}).run()


def test_nothing_is_served_when_http_is_off() -> None:
    assert resolved({**TOPICS, "http": "off"}).run().http is None


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("granularity", "0s", "at least 1ms"),
        ("granularity", "0.0001s", "whole milliseconds"),
        ("max_lag", "-5s", "at least 0ms"),
        ("max_jump", "0", "at least 1ms"),
        ("idle_timeout", "-1ms", "at least 0ms"),
        ("window_offset", "60s", "shorter than granularity"),
        ("slots", "1", "of at least 2|from 2 to"),
        ("aggregators", "0", "from 1 to 256"),
        ("unmarshallers", "two", "from 1 to 256"),
        ("max_restarts", "-1", "from 0 to"),
        ("output_partitions", "0", "from 1 to"),
        ("output_replicas", "0", "from 1 to"),
        ("time_field", "", "none of them empty"),
        ("user_field", "a..b", "none of them empty"),
        ("user_field", "ts", "two fields"),
        ("user_field", "ts.user", "two fields"),
        ("time_unit", "h", "one of s, ms, us, ns, iso8601"),
        ("max_record_bytes", "0", "from 1 byte"),
        ("delivery", "never", "one of exactly-once, at-least-once"),
        ("group", " ", "not empty"),
        ("input", "a/b", "a topic name"),
        ("output", "in", "two different topics"),
        ("dead_letter", "out", "two different topics"),
        ("late_topic", "in", "two different topics"),
        ("late_topic", "out", "two different topics"),
        ("sketches", "out", "two different topics"),
        ("running", "out", "two different topics"),
        ("running", "so-far", "add a calendar, such as --calendar day, or leave it out"),
        ("from", "noon", "committed, earliest, latest, or a time"),
        ("http", "70000", "a port such as"),
        ("bootstrap_servers", "", "not empty"),
        ("keep_open", "true", "--until-end"),
        ("inline", "maybe", "true or false"),
        ("create_topics", "", "true or false"),
    ],
)
def test_an_error_names_the_setting_its_origin_and_what_is_valid(
    name: str, value: str, valid: str, tmp_path: Path
) -> None:
    path = toml(tmp_path, f'{name} = "{value}"\n')
    from_file = {topic: text for topic, text in TOPICS.items() if topic != name}
    origins = {
        f"flag {SETTINGS[name].flag}": refused({name: value}),
        f"variable {SETTINGS[name].variable}": str(_error(from_file, {SETTINGS[name].variable: value})),
        f"key {name} in file {path}": str(_error(from_file, {}, path)),
    }
    for origin, text in origins.items():
        assert origin in text
        assert name in text
        assert any(words in text for words in valid.split("|")), text


def test_what_open_periods_come_to_is_not_told_where_they_are_kept() -> None:
    clash = {"calendar": ["day"], "group": "g", "running": "out.g.state"}
    assert refused(clash) == (
        "running = out.g.state (flag --running) is where open periods are kept: give another one."
    )
    assert Resolver({**TOPICS, **clash, "running": "so-far"}, {}).run().running == "so-far"


def test_a_key_with_a_dot_can_be_named(tmp_path: Path) -> None:
    path = toml(tmp_path, r"user_field = 'event.user\.id'")
    assert Resolver({}, {}, path).decode().user_field == r"event.user\.id"
    assert "two fields" in refused({"time_field": r"a\.b", "user_field": r"a\.b.c"})
    assert r"a dot in a name is written \." in refused({"user_field": r"a\b"})


def _error(
    flags: Mapping[str, object], environ: Mapping[str, str], path: Path | None = None
) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Resolver(flags, environ, path).run()
    return caught.value


def test_the_slots_must_hold_what_max_lag_and_max_jump_keep_open() -> None:
    text = refused({"slots": "62", "max_lag": "1h", "max_jump": "1m"})
    assert "slots = 62 (flag --slots)" in text
    assert "max_lag = 1h (flag --max-lag)" in text
    assert "granularity = 60s (the default)" in text
    assert "at least 63 slots" in text
    assert resolved({"slots": "63", "max_lag": "1h", "max_jump": "1m"}).pipeline().slots == 63


@pytest.mark.parametrize(("max_lag", "slots"), [("5s", 64), ("1h", 122)])
def test_there_are_as_many_slots_as_max_lag_and_max_jump_need(max_lag: str, slots: int) -> None:
    assert resolved({"max_lag": max_lag}).pipeline().slots == slots


@pytest.mark.parametrize(
    ("flags", "environ", "as_run"),
    [
        ({}, {}, False),
        ({"granularity": "1h", "slots": "9", "max_users": "9"}, {"STREAMAGG_IDLE_TIMEOUT": "1s"}, False),
        ({"as_run": True}, {}, True),
        ({"max_lag": "5s"}, {}, True),
        ({"max_jump": "5s"}, {}, True),
        ({}, {"STREAMAGG_MAX_LAG": "5s"}, True),
        ({}, {"STREAMAGG_AS_RUN": "true"}, True),
        ({"as_run": False}, {"STREAMAGG_MAX_LAG": "5s"}, False),
    ],
)
def test_what_only_has_a_meaning_in_a_run_makes_count_one(
    flags: Mapping[str, object], environ: Mapping[str, str], as_run: bool
) -> None:
    assert resolved(flags, environ).count(["a"]).as_run == as_run


def test_the_slots_matter_only_to_a_count_as_run() -> None:
    short = {"granularity": "10ms", "slots": "64"}
    assert resolved(short).count(["a"]).window.granularity_ms == 10
    with pytest.raises(SettingsError, match="slots = 64"):
        resolved({**short, "as_run": True}).count(["a"])


def test_a_ceiling() -> None:
    assert resolved({"max_users": "1000"}).ceiling() == CeilingSettings(1_000, "stop")
    many = {"max_users": "65536", "above_max_users": "approximate"}
    assert resolved(many).ceiling() == CeilingSettings(65_536, "approximate")


def test_an_approximate_count_needs_a_ceiling_worth_it_and_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about = {"above_max_users": "approximate"}
    assert "needs a ceiling" in refused(about)
    assert "is less than the 65536 users" in refused({**about, "max_users": "65535"})
    monkeypatch.setattr(resolve, "find_spec", lambda name: None)
    assert "needs the package datasketches: install it with" in refused({**about, "max_users": "65536"})


def test_advise_reads_files_or_the_input() -> None:
    advise = resolved({"input": "visits", "max_lag": "9s"}, {"STREAMAGG_FROM": "committed"}).advise([])
    assert (advise.input, advise.files, advise.start_ms) == ("visits", (), None)
    assert (advise.window.max_lag_ms, advise.window.max_jump_ms) == (9_000, 9_000)
    advise = resolved({}, {"STREAMAGG_INPUT": "visits"}).advise(["a", "b"])
    assert (advise.input, advise.files) == (None, ("a", "b"))
    assert resolved({"input": "visits", "from": "1970-01-01T00:00:01Z"}).advise([]).start_ms == 1_000


def test_the_topics_are_required() -> None:
    with pytest.raises(
        SettingsError, match=r"input is missing: give --input PLACE.*STREAMAGG_INPUT.*key input"
    ):
        resolved({"output": "out"}).run()


@pytest.mark.parametrize(
    ("variable", "hint"), [("STREAMAGG_MAX_LAGG", "STREAMAGG_MAX_LAG?"), ("STREAMAGG_QQQQ", "Unset it")]
)
def test_an_unknown_variable_is_an_error(variable: str, hint: str) -> None:
    text = refused({}, {variable: "1"})
    assert variable in text
    assert hint in text


def test_variables_of_others_are_none_of_our_business() -> None:
    environ = {
        "STREAMAGG_TEST_BOOTSTRAP": "x",
        "STREAMAGG_BROKER_HOME": "x",
        "STREAMAGG_FAULT": "x",
        "HOME": "x",
    }
    assert resolved({}, environ).window() == WindowSettings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('granularty = "1s"', "did you mean granularity?"),
        ('max-lag = "1s"', "did you mean max_lag?"),
        ("granularity = ", "is not TOML"),
        ("kafka = 5", "must be a table"),
        ("[kafka]\nx = []", "must be a text or a number"),
        ("[window]\ngranularity = 1", "The key window"),
    ],
)
def test_a_wrong_file_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    path = toml(tmp_path, text)
    error = refused({}, {}, path)
    assert words in error
    assert str(path) in error


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused({}, {}, tmp_path / "absent.toml")


def test_client_settings_come_from_all_layers(tmp_path: Path) -> None:
    path = toml(tmp_path, '[kafka]\nclient.rack = "file"\n"linger.ms" = 7\nsocket.keepalive.enable = true\n')
    environ = {"STREAMAGG_KAFKA_CLIENT_RACK": "variable", "STREAMAGG_KAFKA_CLIENT_ID": "variable"}
    kafka = resolved({"kafka": ["client.id=flag=1"]}, environ, path).kafka()
    assert kafka.client == {
        "client.rack": "variable",
        "client.id": "flag=1",
        "linger.ms": "7",
        "socket.keepalive.enable": "true",
    }


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("plugin.library.paths", "run code"),
        ("sasl.kerberos.kinit.cmd", "run code"),
        ("enable.auto.commit", "same transaction"),
        ("group.id", "--group"),
        ("bootstrap.servers", "--bootstrap-servers"),
        ("test.mock.num.brokers", "simulated"),
        ("no.such.property", "No such configuration property"),
        ("fetch.min.bytes", "Invalid value"),
    ],
)
def test_a_refused_client_setting_is_named_with_its_origin(key: str, reason: str, tmp_path: Path) -> None:
    path = toml(tmp_path, f'[kafka]\n{key} = "x"\n')
    variable = "STREAMAGG_KAFKA_" + key.replace(".", "_").upper()
    for origin, text in {
        f"flag -X {key}": refused({"kafka": [f"{key}=x"]}),
        f"variable {variable}": refused({}, {variable: "x"}),
        f"key kafka.{key} in file {path}": refused({}, {}, path),
    }.items():
        assert key in text
        assert reason in text
        assert origin in text


@pytest.mark.parametrize("pair", ["client.id", "=x", ""])
def test_a_client_flag_is_a_pair(pair: str) -> None:
    assert "must be KEY=VALUE" in refused({"kafka": [pair]})


def test_settings_can_cross_the_wall_of_a_process() -> None:
    kafka = resolved({"kafka": ["client.id=x"]}).kafka()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kafka), type=KafkaSettings) == kafka


def test_standard_input_is_read_once() -> None:
    with pytest.raises(SettingsError, match="only once"):
        resolved().count(["-", "a", "-"])


@pytest.mark.parametrize(
    "written",
    [
        *(
            "kafka",
            "kafka:9092",
            "10.0.0.1:1",
            "a:9092,b:65535",
            " a:9092 , b ",
            "a:9092,",
            "[::1]:9092",
            "[::1]",
        ),
        *("::1", "fe80::1:2", "SASL_SSL://broker-1.example.com:9093", "my_broker:9092"),
    ],
)
def test_addresses_of_brokers(written: str) -> None:
    assert resolved({"bootstrap_servers": written}).kafka().bootstrap_servers == written


@pytest.mark.parametrize(
    "written",
    [
        *("kafka:99999", "kafka:65536", "kafka:0", "a:9092,b:99999", "[::1]:99999", "PLAINTEXT://a:99999"),
        *("kafka:", "kafka:port", "kafka:-1", ":9092", "http://kafka:9092/x", "a b:9092", ","),
    ],
)
def test_ports_that_a_client_would_cut_to_16_bits_are_refused(written: str) -> None:
    told = refused({"bootstrap_servers": written})
    assert told == (
        f"bootstrap_servers = {written!r} (flag --bootstrap-servers) must be addresses such as kafka-1:9092,"
        " joined by commas, with ports from 1 to 65535."
    )


@pytest.mark.parametrize("written", ["99999", "0.0.0.0:65536", "host:", "host:x"])
def test_ports_that_nobody_can_listen_on_are_refused(written: str) -> None:
    assert "must be an address such as 0.0.0.0:9464, a port" in refused({"http": written})


def test_serve_has_names_of_its_own_where_run_has_others(tmp_path: Path) -> None:
    """One file may tell both what is published to, and what is followed."""
    path = toml(
        tmp_path,
        'input = "clicks"\noutput = "visitors"\nsketches = "s"\nfrom = "earliest"\n'
        'serve_from = "visitors"\nserve_keep = "hour=90d,minute=7d"\n',
    )
    found = resolved(path=path).serve()
    minute, hour, day = 60_000, 3_600_000, 86_400_000
    assert (found.place.at, found.sketches) == ("visitors", "s")
    assert found.keep == (KeepSettings(minute, 7 * day), KeepSettings(hour, 90 * day))
    over = resolved({"serve_from": "others"}, {"STREAMAGG_SERVE_KEEP": "hour=2d"}, path).serve()
    assert (over.place.at, over.keep) == ("others", (KeepSettings(hour, 2 * day),))
    assert resolved(path=path).run().start == StartAt("earliest")


def test_what_serve_follows_is_wanted_and_is_told_where_it_is_wrong() -> None:
    for environ, told in (
        ({}, "serve_from is missing: give --from PLACE, the variable STREAMAGG_SERVE_FROM"),
        ({"STREAMAGG_SERVE_FROM": "-"}, "must be a topic name, or dir:PATH"),
        ({"STREAMAGG_SERVE_FROM": "a", "STREAMAGG_SERVE_KEEP": "minute"}, "must be rules such as"),
        ({"STREAMAGG_SERVE_FROM": "a", "STREAMAGG_SKETCHES": "a"}, "are different topics"),
    ):
        with pytest.raises(SettingsError) as caught:
            resolved(environ=environ).serve()
        assert told in str(caught.value)
