"""The short part of ``make chaos``: an instance dies at named points, and a leader is a zombie."""

import itertools
import random
from pathlib import Path
from random import Random

import pytest

from tests.chaos.faults import scenarios
from tests.chaos.runner import Runner
from tests.chaos.scenario import Scenario
from tests.chaos.sites import Running
from tests.chaos.world import World

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SECOND_TIME = next(seed for seed in itertools.count() if (draw := Random(str(seed)).random)() >= 0.5 > draw())
"""An even chance strikes at the second publication with it: the first one is a checkpoint without windows."""
SCENARIOS = {scenario.name: scenario for scenario in scenarios()}


@pytest.fixture
def runner(broker: str, tmp_path: Path) -> Runner:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return Runner(tmp_path, seed, quick=True, shared=Running(broker))


@pytest.mark.parametrize("name", ["kill-at-points", "zombie-leader"])
def test_nothing_is_lost_or_doubled(name: str, runner: Runner) -> None:
    outcome = runner.run(SCENARIOS[name])
    assert outcome.good, outcome


def die_between_publishing_and_committing(world: World, random: Random) -> int:
    """Without transactions the windows that were just published come again."""
    weaker = ("--delivery", "at-least-once")
    dying = world.start_instance(*weaker, env={"STREAMAGG_FAULT": f"before-commit:0.5,seed:{SECOND_TIME}"})
    world.wait_until(lambda: not dying.running, "a death before the commit")
    world.start_instance(*weaker)
    world.recovered()
    return 1


def test_a_weaker_promise_is_found_out(runner: Runner) -> None:
    outcome = runner.run(Scenario("weaker", "at-least-once", die_between_publishing_and_committing))
    assert outcome.verdict.doubled, outcome
    assert not outcome.good
    assert (outcome.verdict.wrong, outcome.verdict.lost, outcome.problems) == (0, 0, [])
