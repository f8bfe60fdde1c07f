"""The short part of ``make chaos``: an instance dies at named points, and a leader is a zombie."""

import itertools
import random
from pathlib import Path
from random import Random

import pytest

from streamagg.kafka.broker_silence import BrokerSilence
from tests.chaos.faults import scenarios
from tests.chaos.feeder import Feeder
from tests.chaos.runner import Runner
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.sites import Running
from tests.chaos.truth import Truth
from tests.chaos.world import World
from tests.conftest import TopicFactory
from tests.support.instances import wait_until
from tests.support.pipeline import read_all

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


def test_a_feeder_that_connects_again_sends_each_record_once(
    broker: str, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Shape(rate=5_000)
    name = topic("in", partitions=shape.partitions)
    feeder = Feeder(broker, name, Truth(shape.window, shape.partitions), shape, Random(7))
    looks = [False] * 5 + [True] * 5
    monkeypatch.setattr(BrokerSilence, "lost", lambda _: looks.pop() if looks else False)

    feeder.start()
    wait_until(lambda: not looks, "ten looks at the contact, five times lost")
    feeder.finish()

    assert sum(1 for _ in read_all(broker, name)) == feeder.sent > 0
    assert not feeder.mistaken()
