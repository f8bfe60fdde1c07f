"""A partition's checkpoint as the text that is committed beside its offset.

Format, ASCII, fields separated by blanks, ``-`` for none::

    streamagg2 fingerprint closed_through read_before clock_ms began_inside partial_through
        agreement set_aside

``set_aside`` is base64 of 17 bytes a record and of what it carries, 25 in all (``core.ballot.packing``); at
most 32 records, so that the text stays below 1.5 KB of the 4,096 bytes that a broker accepts by default.

``streamagg1``, which is read but no longer written, has no agreement, and 26 bytes a record: votes seen and
votes in support (uint8) in the place of the lead. Its max jump was granularity plus max lag by default.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from streamagg.core.ballot import LEAD, SetAside, pack, unpack
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import CheckpointError
from streamagg.model.columns import ROWS
from streamagg.model.settings import DecodeSettings, RunSettings, WindowSettings, default_max_jump_ms

_VERSION = "streamagg2"
_BEFORE = "streamagg1"
_SET_ASIDE_BEFORE = struct.Struct(f"<qq{ROWS.width}sBB")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a partition continues, and what was published before."""

    state: PartitionState
    closed_through: int | None
    """The greatest window published."""
    read_before: int
    """Offsets below it had been applied when the checkpoint was made."""


def fingerprint(window: WindowSettings, decode: DecodeSettings) -> str:
    """Twelve hexadecimal digits that change with every setting that shapes results."""
    shaping = msgspec.to_builtins([window, decode])
    # Younger than the first checkpoints, which would be of other settings if its default counted.
    if decode.framing == DecodeSettings().framing:
        del shaping[1]["framing"]
    return hashlib.sha256(msgspec.json.encode(shaping)).hexdigest()[:12]


def fingerprint_before(window: WindowSettings, decode: DecodeSettings) -> str:
    """The fingerprint that ``streamagg1`` gave to the same settings of a user."""
    if window.max_jump_ms == default_max_jump_ms(window.granularity_ms, window.max_lag_ms):
        window = replace(window, max_jump_ms=window.granularity_ms + window.max_lag_ms)
    return fingerprint(window, decode)


def destination(settings: RunSettings) -> str:
    """Eight hexadecimal digits that change with where results go, and how."""
    places = (settings.output, settings.delivery, settings.dead_letter, settings.late_topic)
    return hashlib.sha256(msgspec.json.encode(places)).hexdigest()[:8]


def bound(fingerprint: str, topic_id: str, destination: str = "") -> str:
    """What a checkpoint is signed with: it means offsets of this topic alone, whatever has its name.

    What is unknown or may change is left empty.
    """
    return f"{fingerprint}:{topic_id}:{destination}"


def signed(metadata: str, signature: str) -> bool:
    """The checkpoint bears this signature, word for word."""
    return metadata.split(" ", 2)[1:2] == [signature]


def encode(checkpoint: Checkpoint, settings: str) -> str:
    """The metadata to commit with offset ``checkpoint.state.offset``; ``settings`` is a signature."""
    state = checkpoint.state
    fields = (
        checkpoint.closed_through,
        checkpoint.read_before,
        state.clock_ms,
        int(state.began_inside),
        state.partial_through,
        state.agreement,
        base64.b64encode(pack(state.set_aside, ROWS.width)).decode() or None,
    )
    return " ".join([_VERSION, settings, *("-" if field is None else str(field) for field in fields)])


def decode(offset: int, metadata: str, settings: str, before: str | None = None) -> Checkpoint:
    """Read back what ``encode`` wrote; ``before``: what ``streamagg1`` has for a fingerprint.

    Raises CheckpointError if it was written by another version, under other settings, for another
    topic or destination, or by something else.
    """
    version, _, rest = metadata.partition(" ")
    if version not in (_VERSION, _BEFORE):
        raise CheckpointError(
            "the group has committed offsets that this version of streamagg did not write; "
            "use another --group, or start anew with --from earliest"
        )
    try:
        written_for, closed, read_before, clock, began, partial, *votes = rest.split(" ")
        agreement, aside = _votes(*votes) if version == _VERSION else _votes_before(*votes)
        state = PartitionState(offset, _integer(clock), aside, began == "1", _integer(partial), agreement)
        checkpoint = Checkpoint(state, _integer(closed), int(read_before))
    except (TypeError, ValueError, struct.error) as error:
        raise CheckpointError(
            "the committed checkpoint is damaged; start anew with --from earliest"
        ) from error
    if version == _BEFORE and before is not None and written_for.startswith(f"{before}:"):
        settings = f"{before}:{settings.partition(':')[2]}"
    _compare(written_for, settings)
    return checkpoint


def _compare(written: str, ours: str) -> None:
    """Raises CheckpointError if two signatures contradict each other, in what both of them say."""
    for one, other, meaning in zip(written.split(":"), ours.split(":"), _DIFFERENT, strict=False):
        if one != other and not {one, other} & _UNKNOWN:
            raise CheckpointError(meaning)


_DIFFERENT: Final = (
    "the group's checkpoint was written with other settings (windows or fields), so its counts "
    "cannot be continued; restore them, use another --group, or start anew with --from earliest",
    "the group's checkpoint is of another topic with the name of the input: it was deleted and made "
    "anew; start anew with --from earliest",
    "the group publishes elsewhere, or otherwise: with another output, delivery, dead-letter or late topic; "
    "give the same ones, use another --group, or stop all its instances and start one with "
    "--change-destination",
)
"""By part of a signature."""
_UNKNOWN: Final = frozenset({"", "AAAAAAAAAAAAAAAAAAAAAA"})
"""The second is what clients say of a topic without id, on brokers older than 2.8."""


def _integer(text: str) -> int | None:
    return None if text == "-" else int(text)


def _votes(agreement: str, set_aside: str) -> tuple[int, tuple[SetAside, ...]]:
    return int(agreement), unpack(_bytes(set_aside), ROWS.width)


def _votes_before(set_aside: str) -> tuple[int, tuple[SetAside, ...]]:
    records = _SET_ASIDE_BEFORE.iter_unpack(_bytes(set_aside))
    return LEAD, tuple(
        SetAside(offset, time_ms, row, max(1 - LEAD, 2 * support - seen))
        for offset, time_ms, row, seen, support in records
    )


def _bytes(text: str) -> bytes:
    return b"" if text == "-" else base64.b64decode(text, validate=True)
