"""What the tests of whole runs share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streamagg.settings import WindowSettings
from tests.conftest import TopicFactory
from tests.support.pipeline import WINDOW, Run

RunFactory = Callable[..., Run]


@pytest.fixture
def new_run(broker: str, topic: TopicFactory, tmp_path: Path) -> RunFactory:
    """Factory of runs on topics of their own: ``new_run(partitions=4)``."""

    def create(partitions: int = 1, *, window: WindowSettings = WINDOW, of: str | None = None) -> Run:
        return Run(broker, of or topic("in", partitions=partitions), topic("out"), tmp_path, window)

    return create
