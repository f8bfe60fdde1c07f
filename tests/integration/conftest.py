"""What the tests of whole runs share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamagg.model.settings import DecodeSettings, WindowSettings
from tests.conftest import TopicFactory, while_it_runs
from tests.support.pipeline import DECODE, WINDOW, Run
from tests.support.secure_broker import SecureBroker

RunFactory = Callable[..., Run]


@pytest.fixture
def new_run(broker: str, topic: TopicFactory, tmp_path: Path) -> RunFactory:
    """Factory of runs on topics of their own: ``new_run(partitions=4)``."""

    def create(
        partitions: int = 1,
        *,
        window: WindowSettings = WINDOW,
        decode: DecodeSettings = DECODE,
        of: str | None = None,
    ) -> Run:
        source = of or topic("in", partitions=partitions)
        return Run(broker, source, topic("out"), tmp_path, window, decode)

    return create


@pytest.fixture(scope="session")
def secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker with TLS, passwords and ACLs, and the user ``counter``."""
    users = {"counter": "CANARY-right-password"}
    with while_it_runs(lambda: SecureBroker.started(tmp_path_factory.mktemp("secure"), users)) as own:
        yield own
