"""Checkpoints on their way from a daemon to a job on Flink, and back; the rest takes a broker."""

import base64
from dataclasses import replace

import msgspec
import pytest

from streamagg.core.ballot import SetAside
from streamagg.core.calendars import Calendars
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.period_state import restored
from streamagg.errors import SettingsError
from streamagg.flink import moving
from streamagg.model.settings import CalendarSettings, RunSettings, StartAt, WindowSettings

ASIDE = (SetAside(7, 90_000, b"12345678", -3), SetAside(9, 95_000, b"abcdefgh", 2))
KNOWN = {
    0: Checkpoint(PartitionState(11, 60_000, ASIDE, True, 3, -2), 4, 20),
    1: Checkpoint(PartitionState(0), None, 0),
}
HOURS = RunSettings("in", "out", WindowSettings(calendars=(CalendarSettings("hour", 3_600_000),)))


def test_a_checkpoint_comes_back_as_it_went() -> None:
    there = msgspec.json.decode(msgspec.json.encode(moving._handed(KNOWN)), type=moving.Handed)
    assert there.published_through == 4
    # A job has read the records that are set aside again, and knows their rows.
    for place in there.partitions:
        for aside, record in zip(place.set_aside, ASIDE, strict=False):
            aside.row = base64.b64encode(record.row)
    back = moving._checkpoints(there)
    assert {number: at.state for number, at in back.items()} == {n: at.state for n, at in KNOWN.items()}
    assert {number: at.read_before for number, at in back.items()} == {0: 20, 1: 0}
    assert {at.closed_through for at in back.values()} == {4}


def test_what_a_job_has_written_of_periods_is_read_back() -> None:
    calendars = Calendars(HOURS.window)
    handed = moving.Handed(4, [], [moving._Period(0, 3_600_000, 2, {"a-0": 1, "a-1": 2})])
    written = {key: value or b"" for key, value in moving._state(HOURS, handed)}
    values = {
        f"hour 3600000 a-{part} {number}".encode(): b"x" for part in (0, 1) for number in range(part + 1)
    }
    state, gained = restored({**values, **written}.items(), calendars, "next", 300_000, exactly_once=True)
    assert [(one.calendar, one.start_ms, one.values) for one in gained] == [(0, 3_600_000, [b"x"] * 3)]
    assert dict(state.users) == {(0, 3_600_000): 2}


def test_without_a_window_that_is_published_there_is_no_state() -> None:
    assert moving._state(HOURS, moving.Handed(None, [])) == ()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (replace(HOURS, start=StartAt("earliest")), "another --group"),
        (replace(HOURS, until_end=True), "--until-end cannot be given"),
    ],
)
def test_a_job_goes_on_with_the_counts_of_its_group(settings: RunSettings, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        moving._require_continuing(settings)
    moving._require_continuing(HOURS)
