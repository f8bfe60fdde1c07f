"""What can be asked for between which places, and what not: told before anything begins."""

from pathlib import Path
from typing import Final

from streamagg.errors import SettingsError
from streamagg.model.places import Place, holds_password, place_of
from streamagg.model.settings import StartAt
from streamagg.settings.layers import Layers

_OF_TOPICS: Final = ("dead_letter", "late_topic")
"""They tell of records by partition and offset of a topic."""
_OF_OUTPUT_TOPIC: Final = ("sketches", "running", "output_partitions", "output_replicas")
"""They belong to an output that is a topic."""


def check_places(layers: Layers) -> None:
    """Raises SettingsError for an input, an output, or what else is given with them."""
    if holds_password(layers.value("output")):
        raise SettingsError(
            f"output = {layers.given('output')} holds a password: leave it out there, and name a file with it"
            " in the variable PGPASSFILE."
        )
    source, sink = place_of(layers.value("input")), place_of(layers.value("output"))
    _check_directories(layers, source, sink)
    if source.kind != "topic" or sink.kind != "topic":
        _refuse(layers, _OF_TOPICS, "needs topics as input and output")
        if layers.value("delivery") == "at-least-once":
            raise SettingsError(_needless(layers, "delivery", "is for topics as input and output"))
    if sink.kind != "topic":
        _refuse(layers, _OF_OUTPUT_TOPIC, "needs a topic as output")
    if sink.kind != "postgres" and layers.has("create_tables"):
        raise SettingsError(_needless(layers, "create_tables", "needs a database as output"))
    if sink.kind != "directory":
        _refuse(layers, ("keep",), "needs a directory as output")
    _check_done(layers, source)
    _check_reading(layers, source)


def check_records_place(layers: Layers) -> None:
    """Raises SettingsError for an output that records cannot be written to, or what else is given with it."""
    kind = place_of(layers.value("output")).kind
    if kind not in ("topic", "directory"):
        raise SettingsError(f"output = {layers.given('output')} must be a topic or dir:PATH here.")
    if kind == "directory":
        _refuse(layers, ("output_partitions", "output_replicas"), "needs a topic as output")
    else:
        _refuse(layers, ("roll",), "needs dir:PATH as output")


def require_topic(layers: Layers, name: str) -> None:
    """Raises SettingsError if ``input`` or ``output`` is anything else."""
    if place_of(layers.value(name)).kind != "topic":
        raise SettingsError(f"{name} = {layers.given(name)} must be a topic here.")


def _check_directories(layers: Layers, source: Place, sink: Place) -> None:
    if source.kind != "directory" or sink.kind != "directory":
        return
    if Path(sink.at).resolve().is_relative_to(Path(source.at).resolve()):
        raise SettingsError(
            f"output = {layers.given('output')} lies in input = {layers.given('input')}, so that"
            " results would be read as records: give another directory."
        )


def _check_done(layers: Layers, source: Place) -> None:
    """Files can be moved there, and are not read once more."""
    if source.kind != "directory":
        _refuse(layers, ("done_dir",), "needs a directory as input")
    if not layers.value("done_dir"):
        return
    done, root = Path(layers.value("done_dir")).resolve(), Path(source.at).resolve()
    if done.is_relative_to(root):
        raise SettingsError(
            f"done_dir = {layers.given('done_dir')} lies in input = {layers.given('input')}, so that files"
            " there would be read again: give another directory."
        )
    if root.exists() and root.stat().st_dev != _existing(done).stat().st_dev:
        raise SettingsError(
            f"done_dir = {layers.given('done_dir')} is on another file system than"
            f" input = {layers.given('input')}, where files cannot be moved to: give another directory."
        )


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _check_reading(layers: Layers, source: Place) -> None:
    start: StartAt = layers.value("from")
    if source.kind == "directory" and start.kind in ("latest", "time"):
        raise SettingsError(_needless(layers, "from", "is for a topic: files have no times"))
    if source.kind != "stream":
        _refuse(layers, ("live",), "is for standard input; all else is read live unless --until-end is given")
        return
    _refuse(layers, ("from", "keep_open"), "has no meaning for standard input, which is read once")
    if layers.value("live") and layers.value("until_end"):
        raise SettingsError(_needless(layers, "live", f"contradicts until_end = {layers.given('until_end')}"))


def _refuse(layers: Layers, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if layers.has(name) and layers.value(name):
            raise SettingsError(_needless(layers, name, why))


def _needless(layers: Layers, name: str, why: str) -> str:
    return f"{name} = {layers.given(name)} {why}: leave it out."
