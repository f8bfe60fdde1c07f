"""TLS and passwords against a real broker: the right ones count, each wrong one is one clear sentence.

Everything secret holds ``CANARY``, which must not turn up anywhere.
"""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.conftest import RunFactory
from tests.support.certificates import Authority
from tests.support.instances import Instance, wait_until
from tests.support.pipeline import Feed, Run, made_records, read_all
from tests.support.secure_broker import ALL_RIGHTS, SecureBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

USER = "counter"
CANARY = "CANARY"
LIMIT_S = 15.0
ENDPOINT = re.compile(r"metrics at http://(\S+)/metrics")


@pytest.fixture
def broker(secure_broker: SecureBroker) -> str:
    """In place of the open broker: its listener for everybody; the user may do everything."""
    secure_broker.grant(USER, ALL_RIGHTS)
    return secure_broker.address


@pytest.fixture
def run(new_run: RunFactory) -> Run:
    made = new_run(2)
    return replace(made, group=made.output)


def no_canary(*texts: str | bytes) -> None:
    for text in texts:
        assert CANARY not in (text if isinstance(text, str) else text.decode(errors="replace"))


def command_lines() -> Iterator[bytes]:
    """Of all processes of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # It has ended meanwhile.


def write_secret(path: Path, text: str) -> str:
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


def client_certificate(authority: Authority, directory: Path, password: str) -> list[str]:
    """Flags for a certificate of the user, whose key has a password that is in a file."""
    issued = authority.client(USER, password)
    assert issued.encrypted_key is not None
    return [
        *("-X", "security.protocol=SSL"),
        *("-X", f"ssl.certificate.location={write_secret(directory / 'client.pem', issued.certificate)}"),
        *("-X", f"ssl.key.location={write_secret(directory / 'client.key', issued.encrypted_key)}"),
        *("-X", f"ssl.key.password.file={write_secret(directory / 'key-password', password)}"),
    ]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_counts_come_out_right_with_a_password_over_tls(
    secure_broker: SecureBroker, run: Run, mechanism: str
) -> None:
    Feed(run.bootstrap, run.input, 2).send(made_records(3_000))
    with secure_broker.login(USER, mechanism):
        run.until_end("--bootstrap-servers", secure_broker.listener("PASSWORDS"))
    run.check()


def test_counts_come_out_right_with_a_client_certificate(
    secure_broker: SecureBroker, run: Run, tmp_path: Path
) -> None:
    Feed(run.bootstrap, run.input, 2).send(made_records(3_000))
    run.until_end(
        *("--bootstrap-servers", secure_broker.listener("CERTIFICATES")),
        *("-X", f"ssl.ca.location={secure_broker.authority_file}"),
        *client_certificate(secure_broker.authority, tmp_path, "CANARY-key-password"),
    )
    run.check()


def test_no_secret_turns_up_anywhere(secure_broker: SecureBroker, run: Run, tmp_path: Path) -> None:
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made_records(3_000, corrupt=0.01))
    dead, statistics = f"{run.output}-dead", tmp_path / "statistics.json"
    loud = ("-X", "debug=security,conf,broker,protocol,eos,cgrp,admin", "--http", "0")
    with (
        secure_broker.login(USER),
        run.start(
            *("--bootstrap-servers", secure_broker.listener("PASSWORDS"), "--dead-letter", dead),
            *("--stats-json", str(statistics), "--idle-timeout", "1s", "--json"),
            *loud,
        ) as instance,
    ):
        wait_until(lambda: bool(run.published()), "windows")
        found = ENDPOINT.search(instance.log)
        assert found
        no_canary(*pages(found[1]), *command_lines())
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0
        log = instance.log
    assert "sasl.password" in log, "the client was asked to dump its settings"
    no_canary(log, statistics.read_text(), *run.published())
    letters = list(read_all(run.bootstrap, dead))
    assert letters
    no_canary(*(repr((letter.value(), letter.headers(), letter.key())) for letter in letters))


def pages(address: str) -> list[bytes]:
    found = []
    for path in ("/metrics", "/livez", "/readyz", "/"):
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", path)
        found.append(connection.getresponse().read())
        connection.close()
    return found


def test_help_shows_no_secret(secure_broker: SecureBroker) -> None:
    with secure_broker.login(USER):
        for verb in ("run", "verify", "replay"):
            command = [sys.executable, "-m", "streamagg", verb, "--help"]
            no_canary(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


REFUSED = {
    "the certificate is for another host": ("OTHERHOST", "SSL", "right", "IP address mismatch"),
    "the certificate has expired": ("EXPIRED", "SSL", "right", "certificate has expired"),
    "the authority is another one": ("ENCRYPTED", "SSL", "other", "trusted are those in ssl.ca.location"),
    "no client certificate": ("CERTIFICATES", "SSL", "right", "it wants a client certificate"),
    "no TLS where TLS is spoken": ("ENCRYPTED", "PLAINTEXT", "right", "speaks TLS"),
    "TLS where none is spoken": ("OPEN", "SSL", "right", "PLAINTEXT broker listener"),
    "a wrong password, SCRAM": ("PASSWORDS", "SASL_SSL SCRAM-SHA-512", "right", "invalid credentials"),
    "a wrong password, PLAIN": ("PASSWORDS", "SASL_SSL PLAIN", "right", "Invalid username or password"),
    "a wrong mechanism": ("PASSWORDS", "SASL_SSL SCRAM-SHA-256", "right", "Unsupported SASL mechanism"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_one_sentence(
    secure_broker: SecureBroker, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, security, authority, words = REFUSED[case]
    protocol, _, mechanism = security.partition(" ")
    trusted = secure_broker.authority_file
    if authority == "other":
        trusted = tmp_path / "other.pem"
        Authority("authority of somebody else").write(trusted)
    monkeypatch.setenv("STREAMAGG_KAFKA_SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("STREAMAGG_KAFKA_SSL_CA_LOCATION", str(trusted))
    if mechanism:
        monkeypatch.setenv("STREAMAGG_KAFKA_SASL_MECHANISM", mechanism)
        monkeypatch.setenv("STREAMAGG_KAFKA_SASL_USERNAME", USER)
        monkeypatch.setenv("STREAMAGG_KAFKA_SASL_PASSWORD", "CANARY-wrong-password")
    address = secure_broker.address if listener == "OPEN" else secure_broker.listener(listener)
    arguments = ["--input", "in", "--output", "out", "--bootstrap-servers", address]
    assert_refused(Instance(arguments, tmp_path / "log", level="info"), words)


def test_a_client_certificate_of_a_foreign_authority(secure_broker: SecureBroker, tmp_path: Path) -> None:
    arguments = [
        *("--input", "in", "--output", "out"),
        *("--bootstrap-servers", secure_broker.listener("CERTIFICATES")),
        *("-X", f"ssl.ca.location={secure_broker.authority_file}"),
        *client_certificate(Authority("authority of somebody else"), tmp_path, "CANARY-key-password"),
    ]
    assert_refused(Instance(arguments, tmp_path / "log", level="info"), "does not accept this one")


def assert_refused(instance: Instance, words: str) -> None:
    """Exit code 3 in time, with one line that says it and holds no secret."""
    began = time.monotonic()
    with instance:
        assert instance.wait(4 * LIMIT_S) == 3, instance.log
    took_s = time.monotonic() - began
    lines = instance.log.splitlines()
    assert len(lines) == 1, instance.log
    assert words in lines[0]
    no_canary(lines[0])
    assert took_s < LIMIT_S, f"{took_s:.1f} s"


def test_a_wrong_password_for_the_key(secure_broker: SecureBroker, tmp_path: Path) -> None:
    flags = client_certificate(secure_broker.authority, tmp_path, "CANARY-key-password")
    (tmp_path / "key-password").write_text("CANARY-wrong")
    arguments = ["--input", "in", "--output", "out", "--bootstrap-servers", "127.0.0.1:1", *flags]
    with Instance(arguments, tmp_path / "log", level="info") as instance:
        assert instance.wait() == 2, instance.log
    assert "ssl.key.location" in instance.log
    no_canary(instance.log)


@pytest.mark.parametrize("verb", ["verify", "replay"])
def test_other_verbs_say_the_same(secure_broker: SecureBroker, tmp_path: Path, verb: str) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"ts": 1, "uid": "u"}))
    topics = {
        "verify": ["--input", "in", "--output", "out"],
        "replay": [str(tmp_path / "in.jsonl"), "--topic", "in"],
    }
    command = [sys.executable, "-m", "streamagg", verb, *topics[verb]]
    command += ["--bootstrap-servers", secure_broker.listener("PASSWORDS")]
    with secure_broker.login(USER), pytest.MonkeyPatch.context() as patch:
        patch.delenv("STREAMAGG_KAFKA_SASL_PASSWORD_FILE")
        patch.setenv("STREAMAGG_KAFKA_SASL_PASSWORD", "CANARY-wrong-password")
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * LIMIT_S, check=False)
    assert done.returncode == 3, done.stderr
    assert "invalid credentials" in done.stderr
    no_canary(done.stdout, done.stderr)
