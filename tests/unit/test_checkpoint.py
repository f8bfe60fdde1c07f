"""The text that is committed beside an offset."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core import checkpoint as metadata
from streamagg.core.checkpoint import (
    Checkpoint,
    Lent,
    bound,
    destination,
    fingerprint,
    signed,
)
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import CheckpointError, ExitCode
from streamagg.model.settings import (
    CalendarSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    RunSettings,
    WindowSettings,
)
from tests.support.blocks import set_aside

WINDOW, DECODING = WindowSettings(), DecodeSettings()
SETTINGS = fingerprint(WINDOW, DECODING)
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


def encode(checkpoint: Checkpoint, signature: str) -> str:
    """Written under the default settings."""
    return metadata.encode(checkpoint, signature, WINDOW)


def decode(offset: int, text: str, signature: str) -> Checkpoint:
    """Read under the default settings."""
    return metadata.decode(offset, text, signature, WINDOW, DECODING)


@given(CHECKPOINTS)
def test_what_was_written_is_read_back(checkpoint: Checkpoint) -> None:
    text = encode(checkpoint, SETTINGS)
    assert decode(checkpoint.state.offset, text, SETTINGS) == checkpoint


def test_the_largest_checkpoint_is_ascii_and_fits() -> None:
    text = encode(FULL, SETTINGS)
    assert text.isascii()
    assert len(text) < 1_500


@pytest.mark.parametrize(
    "text", ["", "something else", "streamagg4 a b c", "streamagg", "streamagg10 x - 0 - 0 - -"]
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
    with pytest.raises(CheckpointError, match="another input") as refused:
        decode(FULL.state.offset, text, bound(SETTINGS, "another"))
    assert refused.value.exit_code is ExitCode.USAGE


def test_another_destination_is_refused() -> None:
    elsewhere = bound(SETTINGS, "id", "here")
    text = encode(FULL, bound(SETTINGS, "id", "there"))
    with pytest.raises(CheckpointError, match=r"publishes elsewhere.*--change-destination") as refused:
        decode(FULL.state.offset, text, elsewhere)
    assert refused.value.exit_code is ExitCode.USAGE


def test_what_is_lent_to_a_job_is_for_nobody_else() -> None:
    lent = Lent("there", (0, 20))
    text = encode(FULL, bound(SETTINGS, "id", str(lent)))
    assert metadata.lent(text) == lent
    assert decode(FULL.state.offset, text, bound(SETTINGS, "id", str(lent))) == FULL
    # Nor for somebody who may publish anywhere.
    for ours in ("there", ""):
        with pytest.raises(CheckpointError, match="a job on Flink goes on"):
            decode(FULL.state.offset, text, bound(SETTINGS, "id", ours))
    with pytest.raises(CheckpointError, match="publishes elsewhere"):
        decode(FULL.state.offset, text, bound(SETTINGS, "id", str(Lent("here", (0, 20)))))


@pytest.mark.parametrize("text", ["", "something else", encode(FULL, bound(SETTINGS, "id", "there"))])
def test_what_a_daemon_has_written_is_not_lent(text: str) -> None:
    assert metadata.lent(text) is None


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
        dataclasses.replace(here, state_topic="x"),
        dataclasses.replace(here, sketches="x"),
        dataclasses.replace(here, running="x"),
    ]
    seen = {destination(settings) for settings in (here, *others)}
    assert len(seen) == 8
    assert destination(
        dataclasses.replace(here, kafka=KafkaSettings(group="other"), until_end=True)
    ) == destination(here)


def test_what_holds_its_checkpoint_may_be_moved() -> None:
    """A directory, and a database; a topic does not hold it."""
    places = (
        "dir:/a",
        "dir:/b",
        "postgresql://u@a/usage",
        "postgresql://u@b/usage?sslmode=require",
        "a",
        "b",
    )
    found = [destination(RunSettings("in", place)) for place in places]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert len(set(found)) == 4


GOOD = encode(FULL, SETTINGS)


def test_what_a_source_adds_comes_back() -> None:
    marked = dataclasses.replace(FULL, mark="a,b%20c")
    text = encode(marked, SETTINGS)
    assert text == f"{GOOD} @a,b%20c"
    assert metadata.mark_of(text) == "a,b%20c"
    assert metadata.mark_of(GOOD) == ""
    assert decode(marked.state.offset, text, SETTINGS) == marked


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
        "streamagg3 ",
        "streamagg3",
        "streamagg2 ",
        "streamagg1 ",
    ],
)
def test_damage_is_noticed(text: str) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        decode(0, text, SETTINGS)


OTHER_WINDOWS = WindowSettings(30_000, 1, 6_000, 66_000, True)
OTHER_PERIODS = dataclasses.replace(
    OTHER_WINDOWS,
    calendars=(CalendarSettings("day", 86_400_000),),
    time_zone="Asia/Tokyo",
    zone_data="0f69e63b52b3",
)
OTHER_DECODING = DecodeSettings("time", "id", "ms", 1_000, "registry")
MEASURE = MeasureSettings("bytes", "sum", "size")
OTHER_ANSWERS = dataclasses.replace(OTHER_DECODING, group_by=("a", "b"), measures=(MEASURE,), hash_seed=7)


def test_every_setting_that_shapes_results_changes_the_fingerprint() -> None:
    """Each field by itself: all others keep their default."""
    seen = [SETTINGS]
    for field in dataclasses.fields(WindowSettings):
        window = WindowSettings()
        object.__setattr__(window, field.name, getattr(OTHER_PERIODS, field.name))
        seen.append(fingerprint(window, DecodeSettings()))
    for field in dataclasses.fields(DecodeSettings):
        decoding = DecodeSettings()
        object.__setattr__(decoding, field.name, getattr(OTHER_ANSWERS, field.name))
        seen.append(fingerprint(WindowSettings(), decoding))
    other_op = dataclasses.replace(MEASURE, op="max")
    seen.append(fingerprint(WINDOW, DecodeSettings(measures=(other_op,))))
    seen.append(fingerprint(WINDOW, DecodeSettings(user_field=None)))
    assert len(set(seen)) == len(seen) == 19
    assert fingerprint(WindowSettings(), DecodeSettings()) == SETTINGS


def test_no_setting_has_the_name_of_another() -> None:
    """In a fingerprint they stand side by side."""
    names = [field.name for kind in (WindowSettings, DecodeSettings) for field in dataclasses.fields(kind)]
    assert len(set(names)) == len(names)


def test_fingerprints_and_the_defaults_that_they_leave_out_are_fixed() -> None:
    """Whoever changes one of these makes every checkpoint unreadable, or reads it as of other settings."""
    assert {**dataclasses.asdict(WINDOW), **dataclasses.asdict(DECODING)}.items() >= {
        "granularity_ms": 60_000,
        "offset_ms": 0,
        "max_lag_ms": 5_000,
        "max_jump_ms": 6_000,
        "empty_windows": False,
        "time_field": "ts",
        "user_field": "uid",
        "time_unit": "s",
        "max_record_bytes": 1 << 20,
        "framing": "auto",
        "hash_seed": 0,
        "time_zone": "UTC",
        "zone_data": "",
    }.items()
    assert not DECODING.group_by
    assert not DECODING.measures
    assert not WINDOW.calendars
    assert fingerprint(WINDOW, DECODING) == "ede0de807492"
    assert fingerprint(OTHER_WINDOWS, OTHER_DECODING) == "2e78b6e8359a"
    assert fingerprint(OTHER_WINDOWS, OTHER_ANSWERS) == "d9189ab8411a"
    assert fingerprint(OTHER_PERIODS, OTHER_DECODING) == "bfdf06cb1ff1"


def test_a_fingerprint_is_made_as_the_design_says() -> None:
    hashed = '[1,{"granularity_ms":30000,"max_lag_ms":6000}]'
    assert f"`{hashed}`" in (Path(__file__).parents[2] / "docs/design.md").read_text("utf-8")
    window = WindowSettings(30_000, max_lag_ms=6_000)
    assert fingerprint(window, DECODING) == hashlib.sha256(hashed.encode()).hexdigest()[:12]


@dataclasses.dataclass(frozen=True, slots=True)
class Younger(DecodeSettings):
    """With a setting that today's checkpoints do not know."""

    colour: str = "red"


def test_a_younger_setting_counts_only_if_it_is_not_left_alone() -> None:
    assert fingerprint(WINDOW, Younger()) == SETTINGS
    assert fingerprint(WINDOW, Younger(colour="blue")) != SETTINGS


def test_times_are_written_and_not_numbers_of_windows() -> None:
    window = WindowSettings(3_600_000, 1_800_000, 0, 360_000)
    at = Checkpoint(PartitionState(6_990, 1_468_687_859_000, (), True, 407_965), 407_967, 7_001)
    assert metadata.encode(at, "x", window) == (
        "streamagg3 x 1468686600000 7001 1468687859000 1 1468679400000 24 -"
    )


TOPIC = "nFmyLy5RQsqBGpk-yxwzDA"
BEFORE = (
    (
        WindowSettings(),
        DecodeSettings(),
        f"streamagg2 3c91229ca16b:{TOPIC}:6a7fa301 24478129 7001 1468687859000 1 24478127 -4 "
        "UxsAAAAAAACAPSP1VQEAAPn//////////VUbAAAAAAAAgT0j9VUBAAAHAAAAAAAAAAU=",
    ),
    (
        OTHER_WINDOWS,
        OTHER_DECODING,
        f"streamagg2 7ffc4cfd19a9:{TOPIC}:6a7fa301 48956260 7001 1468687859000 1 48956258 -4 "
        "UxsAAAAAAACAPSP1VQEAAPn//////////VUbAAAAAAAAgT0j9VUBAAAHAAAAAAAAAAU=",
    ),
    (
        WindowSettings(max_lag_ms=60_000, max_jump_ms=60_000),
        DecodeSettings(user_field="event.user"),
        f"streamagg2 71ca7419db8c:{TOPIC}:6a7fa301 24478129 7001 1468687859000 1 24478127 -4 "
        "UxsAAAAAAACAPSP1VQEAAPn//////////VUbAAAAAAAAgT0j9VUBAAAHAAAAAAAAAAU=",
    ),
    (
        WindowSettings(3_600_000, 1_800_000, max_jump_ms=360_000),
        DecodeSettings(),
        f"streamagg2 0c13878eea31:{TOPIC}:6a7fa301 407967 7001 1468687859000 1 407965 -4 "
        "UxsAAAAAAACAPSP1VQEAAPn//////////VUbAAAAAAAAgT0j9VUBAAAHAAAAAAAAAAU=",
    ),
)


class TestTheSecondVersion:
    """``streamagg2`` had numbers of windows, and a fingerprint of all settings. Texts that it wrote."""

    @pytest.mark.parametrize(("window", "decoding", "text"), BEFORE)
    def test_it_is_continued(self, window: WindowSettings, decoding: DecodeSettings, text: str) -> None:
        ours = bound(fingerprint(window, decoding), TOPIC, destination(RunSettings("in", "out")))
        published = (1_468_687_859_000 - window.offset_ms) // window.granularity_ms - 1
        waiting = (
            set_aside(6_995, 1_468_696_575_360, 2**64 - 7, -3),
            set_aside(6_997, 1_468_696_575_361, 7, 5),
        )
        state = PartitionState(6_990, 1_468_687_859_000, waiting, True, published - 2, -4)
        found = metadata.decode(6_990, text, ours, window, decoding)
        assert found == Checkpoint(state, published, 7_001)
        assert not signed(text, ours)
        # What is written instead says the same.
        now = metadata.encode(found, ours, window)
        assert metadata.decode(6_990, now, ours, window, decoding) == found

    def test_so_is_one_without_history(self) -> None:
        text = f"streamagg2 3c91229ca16b:{TOPIC}:6a7fa301 - 0 - 0 - 24 -"
        ours = bound(SETTINGS, TOPIC, "6a7fa301")
        assert decode(6_990, text, ours) == Checkpoint(PartitionState(6_990), None, 0)

    @pytest.mark.parametrize(
        ("window", "decoding"),
        [
            (WindowSettings(max_jump_ms=7_000), DecodeSettings()),
            (WindowSettings(max_jump_ms=65_000), DecodeSettings()),
            (WindowSettings(), DecodeSettings(framing="none")),
            (WindowSettings(), Younger(colour="blue")),
        ],
    )
    def test_but_not_with_other_settings(self, window: WindowSettings, decoding: DecodeSettings) -> None:
        ours = bound(fingerprint(window, decoding), TOPIC)
        with pytest.raises(CheckpointError, match="other settings"):
            metadata.decode(6_990, BEFORE[0][2], ours, window, decoding)

    @pytest.mark.parametrize(
        ("ours", "problem"),
        [(bound(SETTINGS, "another"), "another input"), (bound(SETTINGS, TOPIC, "x"), "publishes elsewhere")],
    )
    def test_nor_elsewhere(self, ours: str, problem: str) -> None:
        with pytest.raises(CheckpointError, match=problem):
            decode(6_990, BEFORE[0][2], ours)


class TestTheFirstVersion:
    """What ``streamagg1`` wrote under its defaults: max jump was granularity plus max lag."""

    TEXT = (
        f"streamagg1 34810a61af00:{TOPIC} 24478130 7001 1468687859000 0 - "
        "GAAAAAAAAACAPSP1VQEAAAcAAAAAAAAAAwI="
    )

    def read(
        self, window: WindowSettings, text: str = TEXT, decoding: DecodeSettings = DECODING
    ) -> Checkpoint:
        ours = bound(fingerprint(window, decoding), TOPIC)
        return metadata.decode(6_990, text, ours, window, decoding)

    # That of its default, written out, is the same as none.
    @pytest.mark.parametrize("max_jump_ms", [6_000, 65_000])
    def test_it_is_continued(self, max_jump_ms: int) -> None:
        found = self.read(WindowSettings(max_jump_ms=max_jump_ms))
        # It had seen three votes, two of them for it.
        waiting = set_aside(24, 1_468_696_575_360, 7, 1)
        assert found.state == PartitionState(6_990, 1_468_687_859_000, (waiting,))
        assert (found.closed_through, found.read_before) == (24_478_130, 7_001)

    def test_one_of_other_settings_is_continued_with_these(self) -> None:
        """The fingerprint is that of the version before ``framing``."""
        text = self.TEXT.replace("34810a61af00", "8f328b9dd0d0")
        decoding = DecodeSettings("time", "id", "ms", 1_000)
        assert self.read(OTHER_WINDOWS, text, decoding).closed_through == 24_478_130

    @pytest.mark.parametrize("window", [WindowSettings(max_jump_ms=7_000), WindowSettings(max_lag_ms=6_000)])
    def test_but_not_with_other_settings(self, window: WindowSettings) -> None:
        with pytest.raises(CheckpointError, match="other settings"):
            self.read(window)

    def test_nor_for_another_topic(self) -> None:
        with pytest.raises(CheckpointError, match="another input"):
            self.read(WINDOW, self.TEXT.replace("nFmy", "xxxx"))
