"""What the runbook tells somebody to ask Prometheus."""

import re
from collections.abc import Iterator
from typing import Final

from tests.support.prometheus import MONITORING

RUNBOOK: Final = (MONITORING.parents[1] / "docs" / "runbook.md").read_text("utf-8")
_COMMANDS: Final = ("streamagg ", "kafka-", "systemctl ", "kubectl ", "docker ", "journalctl ")


def queries() -> Iterator[str]:
    """The lines of code that are no commands."""
    for block in re.findall(r"^```\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL):
        yield from (line for line in block.splitlines() if not line.startswith(_COMMANDS))
