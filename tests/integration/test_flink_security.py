"""The job on Apache Flink on a broker with TLS and passwords."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import RunFactory
from tests.support.flink import finished, jars_made
from tests.support.pipeline import Feed, made_records
from tests.support.secure_broker import ALL_RIGHTS, SecureBroker

pytestmark = [pytest.mark.kafka, pytest.mark.flink]

USER = "counter"


@pytest.fixture(scope="module", autouse=True)
def _jars() -> Iterator[None]:
    with jars_made():
        yield


@pytest.fixture
def broker(secure_broker: SecureBroker) -> str:
    """In place of the open broker: its listener for everybody; the user may do everything."""
    secure_broker.grant(USER, ALL_RIGHTS)
    return secure_broker.address


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_job_logs_in_over_tls(secure_broker: SecureBroker, new_run: RunFactory, mechanism: str) -> None:
    run = new_run(2)
    Feed(run.bootstrap, run.input, 2).send(made_records(1_000))
    with secure_broker.login(USER, mechanism):
        finished(run, "--bootstrap-servers", secure_broker.listener("PASSWORDS"))
    run.check()


def test_a_job_shows_a_certificate(secure_broker: SecureBroker, new_run: RunFactory, tmp_path: Path) -> None:
    run = new_run(2)
    Feed(run.bootstrap, run.input, 2).send(made_records(1_000))
    issued = secure_broker.authority.client(USER)
    for name, text in {"client.pem": issued.certificate, "client.key": issued.key}.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    finished(
        run,
        *("--bootstrap-servers", secure_broker.listener("CERTIFICATES")),
        *("-X", "security.protocol=ssl", "-X", f"ssl.ca.location={secure_broker.authority_file}"),
        *("-X", f"ssl.certificate.location={tmp_path / 'client.pem'}"),
        *("-X", f"ssl.key.location={tmp_path / 'client.key'}"),
    )
    run.check()
