"""Runs scenarios one by one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.chaos.outcome import Outcome
from tests.chaos.scenario import Scenario
from tests.chaos.sites import Running, Site, one_broker
from tests.chaos.world import World


class Runner:
    """Shares one broker among the scenarios that do not harm it."""

    def __init__(
        self, directory: Path, seed: int, *, quick: bool = False, shared: Site | None = None
    ) -> None:
        """Logs go to ``directory``; ``shared`` is a broker that runs already."""
        self.directory = directory
        self.seed = seed
        self.quick = quick
        self._shared = shared

    def run(self, scenario: Scenario) -> Outcome:
        """What came of it; a scenario that fails is an outcome too."""
        began = time.monotonic()
        outcome = Outcome(scenario.name, scenario.title)
        directory = self.directory / scenario.name
        directory.mkdir(parents=True)
        try:
            with self._site(scenario, directory) as site:
                self._run_on(site, scenario, directory, outcome)
        except Exception as error:
            # Whatever broke, the other scenarios are run, and this one is bad.
            outcome.problems.append(f"{type(error).__name__}: {error}"[:2_000])
        outcome.seconds = time.monotonic() - began
        return outcome

    @contextmanager
    def _site(self, scenario: Scenario, directory: Path) -> Iterator[Site]:
        if not scenario.places.in_kafka:
            yield Running("127.0.0.1:1")
            return
        if scenario.site is None and self._shared is not None:
            yield self._shared
            return
        with (scenario.site or one_broker)(directory / "broker") as site:
            yield site

    def _run_on(self, site: Site, scenario: Scenario, directory: Path, outcome: Outcome) -> None:
        # Of its own for each, so that one scenario alone does the same as it does among the others.
        chance = Random(f"{self.seed} {scenario.name}")
        feed = Random(chance.random())
        world = World(site, directory, scenario.shape, feed, quick=self.quick, places=scenario.places)
        try:
            scenario.prepare(world)
            world.begin()
            outcome.times = scenario.run(world, chance)
            outcome.verdict = scenario.judge(world)
        finally:
            world.close()
            outcome.recoveries_s = world.recoveries_s
            outcome.problems += world.problems
