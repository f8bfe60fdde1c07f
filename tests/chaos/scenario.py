"""What a fault is to the frame."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.chaos.outcome import Verdict
from tests.chaos.places import Places
from tests.chaos.shape import Shape
from tests.chaos.sites import SiteFactory
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the table."""

    name: str
    """Of ``--only``: words joined by dashes."""
    title: str
    run: Callable[[World, Random], int]
    """Breaks things; returns how many times. All chance comes from the given source."""
    shape: Shape = field(default_factory=Shape)
    site: SiteFactory | None = None
    """None: the broker that scenarios share, which must not be harmed."""
    prepare: Callable[[World], None] = lambda world: None
    """What must be set before the first record is fed."""
    judge: Callable[[World], Verdict] = World.judge
    """Ends everything and compares."""
    places: Places = field(default_factory=Places)
    """What is read, and published to."""
    quick: bool = False
    """Part of ``--quick``."""
