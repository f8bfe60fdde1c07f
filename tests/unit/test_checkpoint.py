"""The text that is committed beside an offset."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.checkpoint import (
    Checkpoint,
    bound,
    decode,
    destination,
    encode,
    fingerprint,
    fingerprint_before,
    signed,
)
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import CheckpointError, ExitCode
from streamagg.model.settings import DecodeSettings, KafkaSettings, RunSettings, WindowSettings
from tests.support.blocks import set_aside

SETTINGS = fingerprint(WindowSettings(), DecodeSettings())
OFFSETS = st.integers(0, 2**63 - 1)
TIMES = st.integers(0, 253_402_300_799_999)
SET_ASIDE = st.builds(set_aside, OFFSETS, TIMES, st.integers(0, 2**64 - 1), st.integers(-23, 23))
STATES = st.builds(
    PartitionState,
    OFFSETS,
    st.none() | TIMES,
    st.lists(SET_ASIDE, max_size=32).map(tuple),
    st.booleans(),
    st.none() | st.integers(-(2**40), 2**40),
    st.integers(-24, 24),
)
CHECKPOINTS = st.builds(Checkpoint, STATES, st.none() | st.integers(-(2**40), 2**40), OFFSETS)
FULL = Checkpoint(
    PartitionState(
        2**63 - 1,
        253_402_300_799_999,
        tuple(set_aside(2**63 - 1 - i, 253_402_300_799_999, 2**64 - 1, -23) for i in range(32)),
        True,
        4_223_371_679,
        -24,
    ),
    4_223_371_679,
    2**63 - 1,
)


@given(CHECKPOINTS)
def test_what_was_written_is_read_back(checkpoint: Checkpoint) -> None:
    text = encode(checkpoint, SETTINGS)
    assert decode(checkpoint.state.offset, text, SETTINGS) == checkpoint


def test_the_largest_checkpoint_is_ascii_and_fits() -> None:
    text = encode(FULL, SETTINGS)
    assert text.isascii()
    assert len(text) < 1_500


@pytest.mark.parametrize(
    "text", ["", "something else", "streamagg3 a b c", "streamagg", "streamagg10 x - 0 - 0 - -"]
)
def test_another_writer_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="did not write") as refused:
        decode(0, text, SETTINGS)
    assert refused.value.exit_code is ExitCode.USAGE


def test_other_settings_are_refused() -> None:
    text = encode(FULL, SETTINGS)
    other = fingerprint(WindowSettings(max_lag_ms=6_000), DecodeSettings())
    with pytest.raises(CheckpointError, match="other settings"):
        decode(FULL.state.offset, text, other)


def test_another_topic_of_the_same_name_is_refused() -> None:
    text = encode(FULL, bound(SETTINGS, "nFmyLy5RQsqBGpk-yxwzDA"))
    assert decode(FULL.state.offset, text, bound(SETTINGS, "nFmyLy5RQsqBGpk-yxwzDA")) == FULL
    with pytest.raises(CheckpointError, match="another topic") as refused:
        decode(FULL.state.offset, text, bound(SETTINGS, "another"))
    assert refused.value.exit_code is ExitCode.USAGE


def test_another_destination_is_refused() -> None:
    elsewhere = bound(SETTINGS, "id", "here")
    text = encode(FULL, bound(SETTINGS, "id", "there"))
    with pytest.raises(CheckpointError, match=r"publishes elsewhere.*--change-destination") as refused:
        decode(FULL.state.offset, text, elsewhere)
    assert refused.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        (f"{SETTINGS}:id", bound(SETTINGS, "id", "here")),
        (bound(SETTINGS, "id", "there"), bound(SETTINGS, "id")),
        (bound(SETTINGS, "", "here"), bound(SETTINGS, "id", "here")),
        (f"{SETTINGS}:AAAAAAAAAAAAAAAAAAAAAA", bound(SETTINGS, "id", "here")),
    ],
    ids=["before destinations", "may change", "a broker without ids", "the id of a topic without one"],
)
def test_what_is_not_known_is_not_compared(written: str, ours: str) -> None:
    text = encode(FULL, written)
    assert decode(FULL.state.offset, text, ours) == FULL
    assert signed(text, written)
    assert not signed(text, ours)


def test_every_part_of_the_destination_changes_it() -> None:
    here = RunSettings("in", "out")
    others = [
        dataclasses.replace(here, output="other"),
        dataclasses.replace(here, delivery="at-least-once"),
        dataclasses.replace(here, dead_letter="x"),
        dataclasses.replace(here, late_topic="x"),
    ]
    seen = {destination(settings) for settings in (here, *others)}
    assert len(seen) == 5
    assert destination(
        dataclasses.replace(here, kafka=KafkaSettings(group="other"), until_end=True)
    ) == destination(here)


GOOD = encode(FULL, SETTINGS)


@pytest.mark.parametrize(
    "text",
    [
        GOOD[:-1],
        GOOD[:-4],
        GOOD.rsplit(" ", 1)[0],
        GOOD + " 1",
        GOOD.replace("253402300799999", "1.5"),
        GOOD.replace("253402300799999", ""),
        GOOD[:-10] + "*" + GOOD[-9:],
        "streamagg2 ",
        "streamagg2",
        "streamagg1 ",
    ],
)
def test_damage_is_noticed(text: str) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        decode(0, text, SETTINGS)


OTHER_WINDOWS = WindowSettings(30_000, 1, 6_000, 66_000, True)
OTHER_DECODING = DecodeSettings("time", "id", "ms", 1_000, "registry")


def test_every_setting_that_shapes_results_changes_the_fingerprint() -> None:
    """Each field by itself: all others keep their default."""
    seen = [SETTINGS]
    for field in dataclasses.fields(WindowSettings):
        window = WindowSettings()
        object.__setattr__(window, field.name, getattr(OTHER_WINDOWS, field.name))
        seen.append(fingerprint(window, DecodeSettings()))
    for field in dataclasses.fields(DecodeSettings):
        decoding = DecodeSettings()
        object.__setattr__(decoding, field.name, getattr(OTHER_DECODING, field.name))
        seen.append(fingerprint(WindowSettings(), decoding))
    assert len(set(seen)) == len(seen) == 11
    assert fingerprint(WindowSettings(), DecodeSettings()) == SETTINGS


def test_a_younger_setting_leaves_the_fingerprints_of_older_checkpoints_alone() -> None:
    """These are what the version before ``framing`` has committed."""
    window = WindowSettings(60_000, 0, 5_000, 65_000, False)
    assert fingerprint(window, DecodeSettings("ts", "uid", "s", 1 << 20)) == "34810a61af00"
    assert fingerprint(OTHER_WINDOWS, DecodeSettings("time", "id", "ms", 1_000)) == "8f328b9dd0d0"


class TestTheVersionBefore:
    """What ``streamagg1`` wrote under its defaults: max jump was granularity plus max lag."""

    TEXT = (
        "streamagg1 34810a61af00:nFmyLy5RQsqBGpk-yxwzDA 24478130 7001 1468687859000 0 - "
        "GAAAAAAAAACAPSP1VQEAAAcAAAAAAAAAAwI="
    )
    TOPIC = "nFmyLy5RQsqBGpk-yxwzDA"

    def bounds(self, window: WindowSettings) -> tuple[str, str]:
        decoding = DecodeSettings()
        now, before = fingerprint(window, decoding), fingerprint_before(window, decoding)
        return bound(now, self.TOPIC), before

    def test_it_is_continued(self) -> None:
        found = decode(6_990, self.TEXT, *self.bounds(WindowSettings()))
        # It had seen three votes, two of them for it.
        waiting = set_aside(24, 1_468_696_575_360, 7, 1)
        assert found.state == PartitionState(6_990, 1_468_687_859_000, (waiting,))
        assert (found.closed_through, found.read_before) == (24_478_130, 7_001)

    @pytest.mark.parametrize("window", [WindowSettings(max_jump_ms=7_000), WindowSettings(max_lag_ms=6_000)])
    def test_but_not_with_other_settings(self, window: WindowSettings) -> None:
        with pytest.raises(CheckpointError, match="other settings"):
            decode(6_990, self.TEXT, *self.bounds(window))

    def test_nor_for_another_topic(self) -> None:
        now, before = self.bounds(WindowSettings())
        with pytest.raises(CheckpointError, match="another topic"):
            decode(6_990, self.TEXT.replace("nFmy", "xxxx"), now, before)
