"""Whether the fields that are taken of a record go together."""

from collections.abc import Callable
from itertools import combinations
from typing import Final, NamedTuple

from streamagg.errors import SettingsError
from streamagg.model.settings import RESERVED, DecodeSettings
from streamagg.settings.given import Given

MOST_GROUP_FIELDS: Final = 4


class _Field(NamedTuple):
    setting: str
    path: str
    shares: bool = True
    """Another one that shares may be the same field."""


def check_fields(decode: DecodeSettings, given: Callable[[str], Given]) -> None:
    """``given``: what was written for a setting. Raises SettingsError."""
    if len(decode.group_by) > MOST_GROUP_FIELDS:
        raise SettingsError(f"group_by = {given('group_by')} must name at most {MOST_GROUP_FIELDS} fields.")
    for one, other in combinations(_fields(decode), 2):
        if not _go_together(one, other):
            raise SettingsError(_told(one, other, given))
    if len(set(decode.group_by)) < len(decode.group_by):
        raise SettingsError(f"group_by = {given('group_by')} must name each field once.")
    _check_names(decode, given)


def _fields(decode: DecodeSettings) -> list[_Field]:
    user = [] if decode.user_field is None else [_Field("user_field", decode.user_field)]
    return [
        _Field("time_field", decode.time_field, shares=False),
        *user,
        *(_Field("group_by", path) for path in decode.group_by),
        *(_Field("measure", one.path) for one in decode.measures),
    ]


def _go_together(one: _Field, other: _Field) -> bool:
    """Neither is inside the other. A measure may take the time, too."""
    if one.path == other.path:
        return (one.shares and other.shares) or "measure" in (one.setting, other.setting)
    return not (f"{one.path}.".startswith(f"{other.path}.") or f"{other.path}.".startswith(f"{one.path}."))


def _told(one: _Field, other: _Field, given: Callable[[str], Given]) -> str:
    if one.setting == other.setting:
        return (
            f"{one.setting} = {given(one.setting)} names {one.path} and {other.path}, of which one is inside"
            " the other: name two separate fields."
        )
    return (
        f"{one.setting} = {given(one.setting)} and {other.setting} = {given(other.setting)} must be two"
        " fields, neither inside the other."
    )


def _check_names(decode: DecodeSettings, given: Callable[[str], Given]) -> None:
    names = [one.name for one in decode.measures]
    for number, name in enumerate(names):
        if name in RESERVED:
            raise SettingsError(
                f"measure = {given('measure')} has the name {name}, which is a field of every record:"
                " choose another name."
            )
        if name in names[:number]:
            raise SettingsError(
                f"measure = {given('measure')} has two measures of the name {name}: choose another for one."
            )
