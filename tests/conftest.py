"""Fixtures of all tests: a real broker, topics on it, and how hypothesis behaves."""

import io
import logging
import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support import jars
from tests.support.broker import Broker, BrokerFailed
from tests.support.environment import CALM, CI
from tests.support.postgres import Postgres, PostgresMissing

BOOTSTRAP = os.environ.get("STREAMAGG_TEST_BOOTSTRAP")
START_ATTEMPTS = 3
ADMIN_TIMEOUT_S = 30

AnyBroker = TypeVar("AnyBroker", bound=Broker)
TopicFactory = Callable[..., str]

os.environ.update(CALM)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts something in the background has it ignore Ctrl-C, and all that it starts, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The time an example takes depends on what else runs on the machine: no deadlines.
hypothesis.settings.register_profile("local", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if CI else "local")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped, each reason in one line."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} tests were skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """What a test leaves of a log is not told to the next one."""
    logger = logging.getLogger("streamagg")
    before = logger.level, logger.propagate, logger.handlers[:]
    yield
    for handler in logger.handlers:
        if handler not in before[2]:
            # Lines may be left to tell; the stream that was captured is closed.
            handler.stream = io.StringIO()  # type: ignore[attr-defined]
            handler.close()
    logger.setLevel(before[0])
    logger.propagate = before[1]
    logger.handlers[:] = before[2]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker that the whole session shares.

    Where there can be none its tests are skipped, for one reason in one line; with ``CI=true`` they fail.
    """
    if BOOTSTRAP:
        yield BOOTSTRAP
        return
    hint = " (or name one: STREAMAGG_TEST_BOOTSTRAP=host:port)"
    with while_it_runs(lambda: start_broker(tmp_path_factory.mktemp("broker")), hint) as own:
        yield own.address


@pytest.fixture
def own_broker(broker: str, tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may kill, pause and start again.

    It depends on ``broker`` for the decision whether there can be one here.
    """
    with while_it_runs(lambda: start_broker(tmp_path / "broker")) as own:
        yield own


@contextmanager
def while_it_runs(start: Callable[[], AnyBroker], hint: str = "") -> Iterator[AnyBroker]:
    """A broker while the context lasts; where there can be none the test is skipped, or with CI fails."""
    try:
        own = start()
    except jars.BrokerMissing as error:
        if CI:
            raise
        pytest.skip(f"no real Kafka: {error}{hint}")
    try:
        yield own
    finally:
        own.kill()


def start_broker(directory: Path) -> Broker:
    """A broker that runs, on a free port; tried again if another program was faster to take the port."""
    for attempt in range(START_ATTEMPTS):
        candidate = Broker(directory / str(attempt), small=True)
        try:
            return candidate.start()
        except BrokerFailed:
            candidate.kill()
            if attempt == START_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL that the whole session shares; skipped, or with CI failing, as ``broker``."""
    with postgres_running() as own:
        yield own


@contextmanager
def postgres_running(settings: Mapping[str, object] | None = None) -> Iterator[Postgres]:
    """A server while the context lasts; where there can be none the test is skipped, or with CI fails."""
    try:
        own = Postgres(settings)
    except PostgresMissing as error:
        if CI:
            raise
        pytest.skip(f"no real PostgreSQL: {error}")
    try:
        yield own.start()
    finally:
        own.remove()


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The name of an empty database that nobody else uses."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.run(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def topic(broker: str) -> TopicFactory:
    """Factory of topics nobody else uses: ``topic(partitions=4, config={...}) -> name``."""

    def create(prefix: str = "test", *, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        client = AdminClient({"bootstrap.servers": broker})
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        client.create_topics([new])[name].result(ADMIN_TIMEOUT_S)
        return name

    return create
