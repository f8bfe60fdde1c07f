"""The walks in docs/design.md lead where they say: what they name exists, and each step knows the next."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import streamagg

DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text("utf-8")
WALKS = DESIGN.split("## Two walks through the code\n")[1].split("\n## ")[0].split("### ")[1:]


class Step(NamedTuple):
    """A line of a walk."""

    module: ModuleType
    name: str
    """Inside the module."""
    hands_on: str | None
    """The type of a message."""


def found(path: str) -> tuple[ModuleType, str]:
    """The module in a dotted path, and what is left behind it."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        name = ".".join([streamagg.__name__, *parts[:cut]])
        try:
            return importlib.import_module(name), ".".join(parts[cut:])
        except ModuleNotFoundError:
            continue
    raise AssertionError(f"no module in {path}")


def steps_of(walk: str) -> list[Step]:
    steps = []
    for number, line in enumerate(re.findall(r"^\d+\. .*$", walk, re.M), 1):
        match = re.fullmatch(r"(\d+)\. `([\w.]+)`.*?(?:, hands on `(\w+)`\.)?", line)
        assert match, line
        assert int(match[1]) == number
        steps.append(Step(*found(match[2]), match[3]))
    return steps


@cache
def imported(module: ModuleType) -> frozenset[str]:
    """Modules that it imports, or that what it imports is defined in."""
    return frozenset(_imported(module))


def _imported(module: ModuleType) -> Iterator[str]:
    assert module.__file__ is not None
    for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(streamagg.__name__):
            assert node.module is not None
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
                thing = getattr(importlib.import_module(node.module), alias.name, None)
                yield getattr(thing, "__module__", "")


def imports(module: ModuleType, other: ModuleType) -> bool:
    return other.__name__ in imported(module)


def knows(module: ModuleType, message: str) -> bool:
    defined = getattr(module, message, None)
    return defined is not None and isinstance(defined, type)


def connected(step: Step, following: Step) -> bool:
    one, other = step.module, following.module
    if one is other or imports(one, other) or imports(other, one):
        return True
    handed = step.hands_on
    return handed is not None and knows(one, handed) and knows(other, handed)


@pytest.mark.parametrize("walk", WALKS, ids=["payload", "max-lag"])
def test_a_walk_leads_from_each_step_to_the_next(walk: str) -> None:
    steps = steps_of(walk)
    assert len(steps) > 10
    for step in steps:
        thing: Any = step.module
        for part in step.name.split("."):
            assert hasattr(thing, part), f"{step.module.__name__}: no {step.name}"
            thing = getattr(thing, part)
    for step, following in pairwise(steps):
        names = f"{step.module.__name__}.{step.name}", f"{following.module.__name__}.{following.name}"
        assert connected(step, following), f"{names[0]} does not know {names[1]}"


def test_steps_that_do_not_know_each_other_are_found() -> None:
    ring, sink = found("core.ring.Ring"), found("sinks.json_records.render")
    assert not connected(Step(*ring, None), Step(*sink, None))
    assert not connected(Step(*ring, "WindowRows"), Step(*sink, None))
