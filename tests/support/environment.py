"""What every program that a test starts finds in its environment, unless the test asks for something else."""

import os
from typing import Final

CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
"""What is missing is a failure."""
CALM: Final = {
    # Many instances on one machine would quarrel about the default port.
    "STREAMAGG_HTTP": "off",
    # Tests read the log as people do; tests/integration/test_logs.py reads the other form.
    "STREAMAGG_LOG_FORMAT": "human",
}
