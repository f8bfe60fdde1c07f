"""What must hold while the simulation runs, and at its end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Final

from streamagg.core.partition import recall_from
from streamagg.engine.session.plan import Opening
from streamagg.engine.session.session import Session
from streamagg.model.columns import schema_of
from tests.simulation.broker import Broker, Difference
from tests.simulation.oracle import Expected, Verdict, expected
from tests.simulation.scenario import Scenario
from tests.simulation.table_oracle import Published, records

_METADATA_BYTES: Final = 4_096
"""What a broker accepts by default."""


class Watched:
    """A session under observation."""

    def __init__(
        self, session: Session, openings: Mapping[int, Opening], broker: Broker, scenario: Scenario
    ) -> None:
        self.session = session
        self._broker = broker
        self._scenario = scenario
        self._openings = dict(openings)

    def add(self, partition: int, opening: Opening) -> None:
        """A partition that the session reads from now on."""
        self._openings[partition] = opening

    def look(self) -> None:
        """Nothing vanishes, nothing is closed early, memory is bounded; raises Difference."""
        for number, part in self.session.sequencer.partitions.items():
            counts = part.counts
            known = counts.counted + counts.late + counts.published_before
            known += sum(counts.rejected.values()) + counts.set_aside + counts.waiting
            if counts.consumed != known:
                raise Difference(f"conservation: partition {number} has {counts}")
            if counts.closed_early:
                raise Difference(f"closed early: partition {number} has {counts}")
            most = self._most_rows(number)
            if part.parked_rows() > most:
                raise Difference(
                    f"memory: partition {number} has {part.parked_rows()} rows, more than {most}"
                )
        if (windows := len(self.session.sequencer.open_records)) > self._scenario.plan.slots:
            raise Difference(f"memory: {windows} windows are open")

    @property
    def at_rest(self) -> bool:
        """Everything that is closed is published, and the checkpoint committed."""
        session = self.session
        schedule = session._schedule
        return not session.sequencer.open_records and not schedule.waiting and schedule.committed

    def at_end(self, told: Expected) -> None:
        """The session has seen its partitions to the end: every record is where the oracle has it."""
        for number, opening in self._openings.items():
            state = opening.checkpoint.state
            seen = {aside.offset for aside in state.set_aside}
            verdicts = [
                verdict
                for offset, verdict in told.verdicts[number].items()
                if offset >= state.offset or offset in seen
            ]
            log = self._broker.logs[number]
            undecodable = sum(r.content.told is None for r in log.records if r.offset >= state.offset)
            self._compare(number, verdicts, undecodable)

    def _compare(self, number: int, verdicts: list[Verdict], undecodable: int) -> None:
        counts = self.session.sequencer.partitions[number].counts
        future = counts.rejected.get("future", 0)
        found = {
            "in windows": counts.counted + counts.published_before,
            "late": counts.late,
            "future": future,
            "undecodable": sum(counts.rejected.values()) - future,
            "open": counts.set_aside + counts.waiting,
        }
        wanted = {
            "in windows": sum(isinstance(verdict, int) for verdict in verdicts),
            "late": verdicts.count("late"),
            "future": verdicts.count("future"),
            "undecodable": undecodable,
            "open": 0,
        }
        if found != wanted:
            raise Difference(f"records: partition {number} has {found}, the oracle {wanted}")

    def _most_rows(self, partition: int) -> int:
        """Rows that may wait: the limit, what was leased before it was reached, and what is only recalled.

        That is one lease, however long, since nothing behind it can be applied before.
        """
        size = self._scenario.lease_size
        state = self._openings[partition].checkpoint.state
        since = recall_from(schema_of(self._scenario.asked.decode), state)
        recalled = 0 if since is None else state.offset - since
        leased = 2 * (self._scenario.unmarshallers + 1) * max(size.most, size.fewest)
        return size.most_waiting + leased + recalled


def judged(broker: Broker, scenario: Scenario) -> Expected:
    """What the log as it is now must come to."""
    logs = {
        number: [(r.offset, r.content.told) for r in log.records if r.content.told is not None]
        for number, log in broker.logs.items()
    }
    inside = [number for number, log in broker.logs.items() if log.begin > 0]
    return expected(logs, inside, scenario.rules)


def differences(broker: Broker, scenario: Scenario, told: Expected) -> Iterator[str]:
    """Between what committed readers see and what the log comes to."""
    wanted = _wanted(scenario, told)
    found: dict[int, dict[bytes, bytes]] = {}
    last: int | None = None
    repeats = scenario.delivery == "at-least-once"
    for start_ms, key, value in broker.output:
        known = found.setdefault(start_ms, {})
        if key in known:
            if not repeats or known[key] != value:
                yield f"doubled: {key!r} has {known[key]!r} and {value!r}"
            continue
        if last is not None and start_ms < last and not repeats:
            yield f"order: {start_ms} comes after {last}"
        known[key] = value
        last = start_ms
    for start_ms in sorted(found.keys() | wanted.keys()):
        if start_ms not in found:
            yield f"lost: {start_ms} with {wanted[start_ms]}"
        elif start_ms not in wanted:
            yield f"extra: {start_ms} with {found[start_ms]}"
        elif (published := list(found[start_ms].items())) != wanted[start_ms]:
            yield f"wrong: {_first_difference(published, wanted[start_ms])}"
    yield from _letters(broker, told)
    yield from _late(broker, told, repeats=repeats)
    if broker.most_metadata > _METADATA_BYTES:
        yield f"memory: {broker.most_metadata} bytes of metadata"


def _wanted(scenario: Scenario, told: Expected) -> dict[int, list[Published]]:
    """Every record that must be published, by the start of its window, in order."""
    windows, asked = scenario.plan.windows, scenario.asked
    return {
        (start_ms := windows.start_ms(number)): list(
            records(
                rows, asked.decode, asked.ceiling, start_ms, scenario.window.granularity_ms, partial=partial
            )
        )
        for number, (rows, partial) in told.windows(empty=scenario.window.empty_windows).items()
    }


def _first_difference(found: list[Published], wanted: list[Published]) -> str:
    pairs = zip_longest(found, wanted)
    return next(f"{one}, not {other}" for one, other in pairs if one != other)


def _late(broker: Broker, told: Expected, *, repeats: bool) -> Iterator[str]:
    """Every late record is in the late topic, and nothing else.

    Once, except where the end of the log decided about it: then a second end may decide the same again.
    """
    every = {(p, offset): verdict for p, log in told.verdicts.items() for offset, verdict in log.items()}
    wanted = {place for place, verdict in every.items() if verdict == "late"}
    found = Counter(broker.late)
    if found.keys() != wanted:
        yield f"late: missing {sorted(wanted - found.keys())}, not late {sorted(found.keys() - wanted)}"
    twice = {place for place, times in found.items() if times > 1} - told.decided_at_end
    if twice and not repeats:
        yield f"late: told twice {sorted(twice)}"


def _letters(broker: Broker, told: Expected) -> Iterator[str]:
    """Every rejected record is in the dead-letter topic, and nothing else."""
    wanted = {
        (number, record.offset)
        for number, log in broker.logs.items()
        for record in log.records
        if record.content.told is None or told.verdicts[number][record.offset] == "future"
    }
    if broker.letters != wanted:
        missing, extra = wanted - broker.letters, broker.letters - wanted
        yield f"dead letters: missing {sorted(missing)}, not rejected {sorted(extra)}"
