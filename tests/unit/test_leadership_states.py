"""The states of leadership: as drawn in docs/design.md, and each with a way out."""

import re
from pathlib import Path

from streamagg.engine.leadership.states import LEADING, NEXT, State

_DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text("utf-8")
LEADERSHIP = _DESIGN.split("## Leadership\n")[1].split("\n## ")[0]


def test_the_table_of_the_design_is_that_of_the_program() -> None:
    drawn = re.findall(r"^\| ([a-z ]+) \| ([a-z ]+) \| ([a-z ]+) \|$", LEADERSHIP, re.M)
    assert drawn[0] == ("state", "event", "next state")
    coded = [
        (state.value, event.value, after.value)
        for state, events in NEXT.items()
        for event, after in events.items()
    ]
    assert drawn[1:] == coded


def test_each_state_is_described_in_the_design() -> None:
    assert re.findall(r"^- \*\*([a-z ]+)\*\*:", LEADERSHIP, re.M) == [state.value for state in State]


def reached(start: State) -> set[State]:
    found, new = {start}, [start]
    while new:
        after = set(NEXT[new.pop()].values()) - found
        found |= after
        new += after
    return found


def test_every_state_is_reached_and_can_end() -> None:
    assert set(NEXT) == set(State) == reached(State.STANDING_BY)
    assert all(State.ENDED in reached(state) for state in State)
    assert not NEXT[State.ENDED]


def test_a_term_begins_with_fencing() -> None:
    assert {State.FENCING, State.OPENING, State.WORKING, State.COMMITTING} == LEADING
    entered = {after for state, events in NEXT.items() if state not in LEADING for after in events.values()}
    assert entered & LEADING == {State.FENCING}
