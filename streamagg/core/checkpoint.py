"""A partition's checkpoint as the text that is committed beside its offset.

Format, ASCII, fields separated by blanks, ``-`` for none, times in milliseconds since the epoch::

    streamagg3 signature published_until_ms read_before clock_ms began_inside partial_until_ms
        agreement set_aside [@mark]

``published_until_ms`` and ``partial_until_ms`` are the ends of the last windows that are published and
partial. ``set_aside`` is base64 of 17 bytes a record and of what it carries, 25 in all
(``core.ballot.packing``); at most 32 records, so that the text stays below 1.5 KB of the 4,096 bytes that a
broker accepts by default.

Read but no longer written are the versions before, which have the numbers of these windows, and a
fingerprint of all settings that shape counts instead of those that differ from their defaults:

- ``streamagg2``;
- ``streamagg1``, which has no agreement, and 26 bytes a record: votes seen and votes in support (uint8) in
  the place of the lead. Its max jump was granularity plus max lag by default.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

import msgspec

from streamagg.core.ballot import LEAD, SetAside, pack, unpack
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.errors import CheckpointError
from streamagg.model.columns import ROWS, schema_of
from streamagg.model.settings import PLAIN, DecodeSettings, RunSettings, WindowSettings, default_max_jump_ms

_VERSION: Final = "streamagg3"
_SECOND: Final = "streamagg2"
_FIRST: Final = "streamagg1"
_MARK: Final = "@"
_RULE: Final = 1
"""Of fingerprints. Another default makes another rule, or the old one and the new would look the same."""
_SET_ASIDE_BEFORE = struct.Struct(f"<qq{ROWS.width}sBB")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a partition continues, and what was published before."""

    state: PartitionState
    closed_through: int | None
    """The greatest window published."""
    read_before: int
    """Offsets below it had been applied when the checkpoint was made."""
    mark: str = ""
    """What finds the place again, where the offset is not enough: see ``sources.contract.Marks``."""


def fingerprint(window: WindowSettings, decode: DecodeSettings) -> str:
    """Twelve hexadecimal digits that change with every setting that shapes results.

    Only those that differ from their defaults count, by the names of their fields in alphabetical order: a
    younger setting changes nothing for whoever leaves it alone.
    """
    return _digest([_RULE, _changed(window, decode)], 12)


def _changed(*settings: WindowSettings | DecodeSettings) -> dict[str, object]:
    """Values that are not the defaults, by name and in the order of names."""
    values = ((field, getattr(one, field.name)) for one in settings for field in fields(one))
    return dict(sorted((field.name, value) for field, value in values if value != field.default))


def _fingerprints_before(version: str, window: WindowSettings, decode: DecodeSettings) -> set[str]:
    """What an earlier version may have for a fingerprint of the same settings of a user."""
    if not _changed(window, decode).keys() <= {*_WINDOW_BEFORE, *_DECODE_BEFORE, "framing"}:
        return set()  # It knew nothing of such a setting.
    found = {_fingerprint_before(window, decode)}
    if version == _FIRST and window.max_jump_ms == default_max_jump_ms(
        window.granularity_ms, window.max_lag_ms
    ):
        default = replace(window, max_jump_ms=window.granularity_ms + window.max_lag_ms)
        found.add(_fingerprint_before(default, decode))
    return found


def _fingerprint_before(window: WindowSettings, decode: DecodeSettings) -> str:
    shaping = [
        {name: getattr(window, name) for name in _WINDOW_BEFORE},
        {name: getattr(decode, name) for name in _DECODE_BEFORE},
    ]
    # Younger than the first checkpoints, which would be of other settings if its default counted.
    if decode.framing != DecodeSettings().framing:
        shaping[1]["framing"] = decode.framing
    return _digest(shaping, 12)


_WINDOW_BEFORE: Final = ("granularity_ms", "offset_ms", "max_lag_ms", "max_jump_ms", "empty_windows")
_DECODE_BEFORE: Final = ("time_field", "user_field", "time_unit", "max_record_bytes")
"""All that there was, in the order of the text that was hashed."""


def _digest(value: object, digits: int) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:digits]


def destination(settings: RunSettings) -> str:
    """Eight hexadecimal digits that change with where results go, and how."""
    # Files and tables hold the checkpoint themselves, wherever they are moved to.
    output = settings.sink.kind if settings.sink.kind in ("directory", "postgres") else settings.output
    places = (output, settings.delivery, settings.dead_letter, settings.late_topic)
    # Younger than the first destinations, which it leaves as they were where there is none.
    kept = () if settings.state_topic is None else (settings.state_topic,)
    sketches = () if settings.sketches is None else (("sketches", settings.sketches),)
    running = () if settings.running is None else (("running", settings.running),)
    return _digest((*places, *kept, *sketches, *running), 8)


class Lent(NamedTuple):
    """In the place of a destination: a job on Flink goes on with the counts, and nobody else may."""

    destination: str
    written: tuple[int, ...]
    """By partition of the output, where it ended when the counts were lent."""

    def __str__(self) -> str:
        return f"{_LENT}{'-'.join(map(str, self.written))}.{self.destination}"


def lent(metadata: str) -> Lent | None:
    """Of the text of a checkpoint; None: it is not lent."""
    *_, place = metadata.split(" ", 2)[1].split(":") if " " in metadata else [""]
    if not place.startswith(_LENT):
        return None
    written, _, destination = place.removeprefix(_LENT).partition(".")
    return Lent(destination, tuple(map(int, written.split("-"))))


def bound(fingerprint: str, topic_id: str, destination: str = "") -> str:
    """What a checkpoint is signed with: it means offsets of this topic alone, whatever has its name.

    What is unknown or may change is left empty.
    """
    return f"{fingerprint}:{topic_id}:{destination}"


def signed(metadata: str, signature: str) -> bool:
    """The checkpoint bears this signature, word for word."""
    return metadata.split(" ", 2)[1:2] == [signature]


def encode(
    checkpoint: Checkpoint, signature: str, window: WindowSettings, decoding: DecodeSettings = PLAIN
) -> str:
    """The metadata to commit with offset ``checkpoint.state.offset``."""
    state, windows = checkpoint.state, Windows(window)
    parts = (
        _end_ms(windows, checkpoint.closed_through),
        checkpoint.read_before,
        state.clock_ms,
        int(state.began_inside),
        _end_ms(windows, state.partial_through),
        state.agreement,
        base64.b64encode(pack(state.set_aside, schema_of(decoding).width)).decode() or None,
    )
    mark = [_MARK + checkpoint.mark] if checkpoint.mark else []
    return " ".join([_VERSION, signature, *("-" if part is None else str(part) for part in parts), *mark])


def mark_of(metadata: str) -> str:
    """What the source has stored in it; empty if there is nothing."""
    last = metadata.rpartition(" ")[2]
    return last.removeprefix(_MARK) if last.startswith(_MARK) else ""


def decode(
    offset: int, metadata: str, signature: str, window: WindowSettings, decoding: DecodeSettings
) -> Checkpoint:
    """Read back what ``encode`` wrote; ``signature`` is of these settings.

    Raises CheckpointError if it was written by a version that is not known, under other settings, for another
    topic or destination, or by something else.
    """
    version, _, rest = metadata.partition(" ")
    if version not in (_VERSION, _SECOND, _FIRST):
        raise CheckpointError(
            "the group has committed offsets that this version of streamagg did not write; "
            "use another --group, or start anew with --from earliest"
        )
    try:
        mark = mark_of(metadata)
        parts = rest.removesuffix(f" {_MARK}{mark}").split(" ")
        written_for, published, read_before, clock, began, partial, *votes = parts
        width = schema_of(decoding).width
        agreement, aside = _votes_first(*votes) if version == _FIRST else _votes(width, *votes)
        through, partial_through = _integer(published), _integer(partial)
        if version == _VERSION:
            windows = Windows(window)
            through, partial_through = _ended(windows, through), _ended(windows, partial_through)
        state = PartitionState(offset, _integer(clock), aside, began == "1", partial_through, agreement)
        checkpoint = Checkpoint(state, through, int(read_before), mark)
    except (TypeError, ValueError, struct.error) as error:
        raise CheckpointError(
            "the committed checkpoint is damaged; start anew with --from earliest"
        ) from error
    if version != _VERSION:
        written_for = _signed_now(version, written_for, window, decoding)
    _compare(written_for, signature)
    return checkpoint


def _signed_now(version: str, signature: str, window: WindowSettings, decoding: DecodeSettings) -> str:
    """The signature of an earlier version, with the fingerprint of this one if it is of the same settings."""
    before, colon, rest = signature.partition(":")
    same = before in _fingerprints_before(version, window, decoding)
    return f"{fingerprint(window, decoding) if same else before}{colon}{rest}"


def _end_ms(windows: Windows, last: int | None) -> int | None:
    return None if last is None else windows.start_ms(last + 1)


def _ended(windows: Windows, time_ms: int | None) -> int | None:
    """The last window that had ended by then."""
    return None if time_ms is None else windows.number(time_ms) - 1


def _compare(written: str, ours: str) -> None:
    """Raises CheckpointError if two signatures contradict each other, in what both of them say."""
    if _LENT in written and _LENT not in ours:
        raise CheckpointError(_IS_LENT)
    for one, other, meaning in zip(written.split(":"), ours.split(":"), _DIFFERENT, strict=False):
        if one != other and not {one, other} & _UNKNOWN:
            raise CheckpointError(meaning)


_LENT: Final = "flink."
_IS_LENT: Final = (
    "a job on Flink goes on with the counts of the group: stop it with a savepoint, and give them back with "
    "streamagg flink --hand-back --savepoint, or use another --group"
)
_DIFFERENT: Final = (
    "the group's checkpoint was written with other settings (windows or fields), so its counts "
    "cannot be continued; restore them, use another --group, or start anew with --from earliest",
    "the group's checkpoint is of another input, or of one of the same name that was deleted and made "
    "anew; use another --group, or start anew with --from earliest",
    "the group publishes elsewhere, or otherwise: with another output, delivery, dead-letter or late topic; "
    "give the same ones, use another --group, or stop all its instances and start one with "
    "--change-destination",
)
"""By part of a signature."""
_UNKNOWN: Final = frozenset({"", "AAAAAAAAAAAAAAAAAAAAAA"})
"""The second is what clients say of a topic without id, on brokers older than 2.8."""


def _integer(text: str) -> int | None:
    return None if text == "-" else int(text)


def _votes(width: int, agreement: str, set_aside: str) -> tuple[int, tuple[SetAside, ...]]:
    return int(agreement), unpack(_bytes(set_aside), width)


def _votes_first(set_aside: str) -> tuple[int, tuple[SetAside, ...]]:
    records = _SET_ASIDE_BEFORE.iter_unpack(_bytes(set_aside))
    return LEAD, tuple(
        SetAside(offset, time_ms, row, max(1 - LEAD, 2 * support - seen))
        for offset, time_ms, row, seen, support in records
    )


def _bytes(text: str) -> bytes:
    return b"" if text == "-" else base64.b64decode(text, validate=True)
