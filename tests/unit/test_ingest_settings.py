"""Settings of ``ingest``: defaults, what does not go together, and files of tokens."""

from pathlib import Path

import pytest

from streamagg.errors import SettingsError
from streamagg.http.tokens import digest
from streamagg.model.settings import IngestSettings, ListenSettings
from streamagg.settings.resolve import Resolver, usable_cores

TOKEN = "0123456789abcdef"


def resolver(**flags: object) -> Resolver:
    return Resolver({"output": "t", **flags}, {})


def test_the_defaults_of_the_table_are_those_of_the_settings() -> None:
    found = resolver().ingest()
    assert found == IngestSettings("t", kafka=found.kafka, workers=min(usable_cores(), 8))
    assert resolver().listen("127.0.0.1:8080") == ListenSettings()
    assert resolver().tokens() == []


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pem").touch()
    pem = str(tmp_path / "pem")
    found = resolver(
        output=f"dir:{tmp_path}", listen="0", tls_certificate=pem, tls_key=pem, roll="2s", queue="32MiB"
    ).ingest()
    assert (found.sink.kind, found.sink.at) == ("directory", str(tmp_path))
    assert (found.roll_ms, found.queue_bytes) == (2_000, 32 << 20)
    assert found.listen == ListenSettings("127.0.0.1:0", pem, pem)
    assert found.listen.secure


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"output": "-"}, r"^output = - \(flag --output\) must be a topic or dir:PATH here\.$"),
        ({"output": "postgresql://h/d"}, "must be a topic or dir:PATH here"),
        ({"queue": "1MiB"}, r"^queue = 1MiB .* must have room for a body of max_body = 16MiB"),
        ({"roll": "2s"}, "needs dir:PATH as output: leave it out"),
        ({"output": "dir:/x", "output_partitions": "4"}, "needs a topic as output: leave it out"),
        ({"listen": "off"}, "must be an address such as 0.0.0.0:8080"),
        ({"tls_certificate": "/absent"}, "must be the path of a file that exists"),
    ],
)
def test_what_does_not_go_together_is_told(flags: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        resolver(**flags).ingest()


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    with pytest.raises(SettingsError, match="needs the certificate that it belongs to: add"):
        resolver(tls_key=str(key)).ingest()


def tokens_of(path: Path, text: str, mode: int = 0o600) -> list[str]:
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return resolver(token_file=str(path)).tokens()


def test_each_line_is_a_token(tmp_path: Path) -> None:
    text = f"# of the first sender\n{TOKEN}\n\n  {TOKEN}-second  \r\n"
    assert tokens_of(tmp_path / "tokens", text) == [digest(TOKEN), digest(f"{TOKEN}-second")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# none\n\n", "holds no token"),
        (f"{TOKEN}\n{TOKEN[:-1]}\n", "^Line 2 of .* is no token: it needs at least 16 characters"),
        (f"{TOKEN} {TOKEN}\n", "^Line 1 of .* is no token"),
        (f"{TOKEN}é\n", "^Line 1 of .* is no token"),
    ],
)
def test_what_is_no_token_is_told_and_not_shown(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        tokens_of(tmp_path / "tokens", text)
    assert TOKEN[:-1] not in str(caught.value)


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can be read by every user of this machine"):
        tokens_of(tmp_path / "tokens", TOKEN, 0o644)


def test_a_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    tokens_of(path, TOKEN)
    found = resolver(token_file=str(path))
    assert found.tokens() == [digest(TOKEN)]
    path.write_text(f"{TOKEN}-new", "utf-8")
    assert found.tokens() == [digest(f"{TOKEN}-new")]
