"""Who may have written a file of settings, and secrets that come from files."""

import logging
import os
from pathlib import Path

import pytest

from streamagg.errors import SettingsError
from streamagg.kafka.passthrough import FILE_SUFFIX, REFUSED, SECRETS
from streamagg.settings import trusted_file
from streamagg.settings.resolve import Resolver
from streamagg.settings.trusted_file import LARGEST_BYTES, TRUST_VARIABLE

CANARY = "CANARY-5c1f"
MINE, OTHERS = 0o600, (0o620, 0o602, 0o666, 0o777)
PASSWORD_FILE = "STREAMAGG_KAFKA_SASL_PASSWORD_FILE"


def written(tmp_path: Path, text: str, mode: int = MINE) -> Path:
    path = tmp_path / "file"
    path.write_text(text)
    path.chmod(mode)
    return path


def client(environ: dict[str, str], config: Path | None = None, *flags: str) -> dict[str, str]:
    return dict(Resolver({"kafka": list(flags)}, environ, config).kafka().client)


def refused(environ: dict[str, str], config: Path | None = None, *flags: str) -> str:
    """The one sentence of the error, which holds no secret; nor does anything it came from."""
    with pytest.raises(SettingsError) as caught:
        client(environ, config, *flags)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error)
        error = error.__context__
    return str(caught.value)


@pytest.mark.parametrize("mode", OTHERS)
def test_a_settings_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, 'kafka.client.id = "x"', mode)
    text = refused({}, path)
    assert f"mode {mode:04o}" in text
    assert f"chmod go-w {path}" in text
    assert f"{TRUST_VARIABLE}=true" in text
    assert client({TRUST_VARIABLE: "true"}, path) == {"client.id": "x"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_settings_file_that_only_its_owner_may_write_is_read(tmp_path: Path, mode: int) -> None:
    assert client({}, written(tmp_path, 'kafka.client.id = "x"', mode)) == {"client.id": "x"}


def test_one_byte_order_mark_before_the_settings_is_skipped(tmp_path: Path) -> None:
    assert client({}, written(tmp_path, '\ufeffkafka.client.id = "x"')) == {"client.id": "x"}
    assert "is not TOML" in refused({}, written(tmp_path, '\ufeff\ufeffkafka.client.id = "x"'))


def test_a_settings_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, 'kafka.client.id = "x"')
    if os.geteuid() == 0:
        os.chown(path, 4711, -1)
    else:
        monkeypatch.setattr(trusted_file.os, "geteuid", lambda: 4711)
    assert "neither to this one nor to root" in refused({}, path)
    assert client({TRUST_VARIABLE: "yes"}, path) == {"client.id": "x"}


def test_what_a_link_points_to_is_judged(tmp_path: Path) -> None:
    target = written(tmp_path, "", 0o666)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert "can be written by others" in refused({}, link)


def test_the_override_is_a_yes_or_a_no_and_no_key_of_the_file(tmp_path: Path) -> None:
    assert f"{TRUST_VARIABLE} must be true or false" in refused({TRUST_VARIABLE: "perhaps"})
    path = written(tmp_path, "trust_files = true")
    assert "trust_files" in refused({}, path)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_comes_from_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f" {CANARY} {ending}".encode())
    path.chmod(MINE)
    wanted = {"sasl.password": f" {CANARY} "}
    assert client({PASSWORD_FILE: str(path)}) == wanted
    assert client({}, None, f"sasl.password.file={path}") == wanted
    assert client({}, written(tmp_path, f'kafka.sasl.password.file = "{path}"')) == wanted


def test_a_file_in_a_stronger_place_goes_before_a_secret_in_a_weaker_one(tmp_path: Path) -> None:
    secret = written(tmp_path, CANARY)
    config = tmp_path / "settings.toml"
    config.write_text('kafka.sasl.password = "weaker"')
    config.chmod(MINE)
    assert client({PASSWORD_FILE: str(secret)}, config) == {"sasl.password": CANARY}
    stronger = client({"STREAMAGG_KAFKA_SASL_PASSWORD": "stronger"}, None)
    assert stronger == {"sasl.password": "stronger"}


def test_a_secret_and_its_file_in_one_place_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, CANARY)
    text = refused({PASSWORD_FILE: str(path), "STREAMAGG_KAFKA_SASL_PASSWORD": CANARY})
    assert "are both given" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"CANARY-5c1f\0", "NUL"), (b"CANARY-5c1f\xff", "not text")],
)
def test_a_file_that_holds_no_secret(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(MINE)
    assert words in refused({PASSWORD_FILE: str(path)})


def test_a_file_that_cannot_be_read_names_where_it_was_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "absent", tmp_path):
        text = refused({PASSWORD_FILE: str(missing)})
        assert str(missing) in text
        assert PASSWORD_FILE in text
    large = written(tmp_path, "x" * (LARGEST_BYTES + 1))
    assert "larger than 1 MiB" in refused({PASSWORD_FILE: str(large)})


@pytest.mark.parametrize("mode", OTHERS)
def test_a_secret_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, CANARY, mode)
    assert "can be written by others" in refused({PASSWORD_FILE: str(path)})
    assert client({PASSWORD_FILE: str(path), TRUST_VARIABLE: "1"}) == {"sasl.password": CANARY}


@pytest.mark.parametrize(("mode", "lines"), [(0o600, 0), (0o640, 0), (0o644, 1)])
def test_a_secret_that_all_may_read_is_worth_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, lines: int
) -> None:
    caplog.set_level(logging.WARNING)
    client({PASSWORD_FILE: str(written(tmp_path, CANARY, mode))})
    config = tmp_path / "settings.toml"
    config.write_text(f'kafka.sasl.password = "{CANARY}"')
    config.chmod(mode)
    client({}, config)
    assert len(caplog.records) == 2 * lines
    assert CANARY not in caplog.text


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_a_secret_in_a_flag_is_refused(secret: str) -> None:
    text = refused({}, None, f"{secret}={CANARY}")
    assert "every user of this machine can read it" in text
    assert f"STREAMAGG_KAFKA_{secret.upper().replace('.', '_')}_FILE=PATH" in text
    assert f"-X {secret}{FILE_SUFFIX}=PATH" in text


def test_a_malformed_flag_is_not_repeated() -> None:
    assert "KEY=VALUE" in refused({}, None, CANARY)
    assert "KEY=VALUE" in refused({}, None, f"={CANARY}")


@pytest.mark.parametrize("key", [key for key, reason in REFUSED.items() if "run code" in reason])
def test_what_runs_code_is_refused_from_everywhere(tmp_path: Path, key: str) -> None:
    config = written(tmp_path, f'kafka.{key} = "/tmp/x"')
    for text in (
        refused({}, None, f"{key}=/tmp/x"),
        refused({}, None, f" {key} =/tmp/x"),
        refused({"STREAMAGG_KAFKA_" + key.upper().replace(".", "_"): "/tmp/x"}),
        refused({}, config),
        refused({TRUST_VARIABLE: "true"}, config),
    ):
        assert "run code" in text
    quoted = tmp_path / "quoted.toml"
    for spelled in (key, f" {key}", f"{key} ", key.upper()):
        quoted.write_text(f'[kafka]\n"{spelled}" = "/tmp/x"')
        quoted.chmod(MINE)
        assert "run code" in (text := refused({}, quoted)) or "No such configuration property" in text


def test_settings_do_not_show_secrets_when_they_are_printed() -> None:
    kafka = Resolver({}, {"STREAMAGG_KAFKA_SASL_PASSWORD": CANARY}).kafka()
    assert kafka.client["sasl.password"] == CANARY
    assert CANARY not in repr(kafka)
