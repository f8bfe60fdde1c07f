"""Every module here holds ``SCENARIOS``, a tuple of what it breaks."""

import importlib
import pkgutil

from tests.chaos.scenario import Scenario


def scenarios() -> list[Scenario]:
    """All of them, module by module in the order of names."""
    found: list[Scenario] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found += importlib.import_module(f"{__name__}.{module.name}").SCENARIOS
    return found
