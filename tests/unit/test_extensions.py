"""The modules in C: each keeps what it has to itself, as far as that can be."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from streamagg.core import _stepper
from streamagg.decode import _scanner
from streamagg.sources.directory import _csv
from streamagg.sources.kafka import _fetcher

ROOT = Path(__file__).resolve().parents[2]
MODULES = [_stepper, _scanner, _csv, _fetcher]
TYPES = [(_scanner, "Scanner"), (_fetcher, "Fetcher"), (_fetcher, "Messages"), (_fetcher, "Fetched")]

IMPORT = """
import importlib.util
spec = importlib.util.spec_from_file_location({name!r}, {file!r})
module = importlib.util.module_from_spec(spec)
try:
    spec.loader.exec_module(module)
except ImportError as error:
    assert str(error) == {refusal!r}, error
else:
    assert {refusal!r} is None
"""
SCAN = """
time, user = (memoryview(bytearray(8)).cast("Q") for _ in range(2))
scanner = module.Scanner(((0, (b"ts",)), (1, (b"uid",))), "s", 100, "auto", 0)
assert scanner.scan([b"{"], time, (user,))[0] == [0]
"""


def loaded_again(module: ModuleType) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    return again


def importing(module: ModuleType, refusal: str | None = None) -> str:
    return IMPORT.format(name=module.__name__, file=module.__file__, refusal=refusal)


def run_in_another_interpreter(code: str) -> None:
    """In one that shares this one's lock, as old modules need it."""
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters

        other = interpreters.create("legacy")
    else:
        import _xxsubinterpreters as interpreters

        other = interpreters.create(isolated=False)
    try:
        assert interpreters.run_string(other, code) is None
    finally:
        interpreters.destroy(other)


@pytest.mark.parametrize(("module", "name"), TYPES, ids=lambda part: getattr(part, "__name__", part))
def test_a_type_belongs_to_its_module(module: ModuleType, name: str) -> None:
    kind, again = getattr(module, name), getattr(loaded_again(module), name)
    assert kind is not again
    assert (kind.__module__, kind.__name__) == (again.__module__, again.__name__) == (module.__name__, name)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_loaded_twice_is_the_same_twice(module: ModuleType) -> None:
    assert set(dir(loaded_again(module))) <= set(dir(module))


def test_another_interpreter_scans_and_leaves_this_one_in_peace() -> None:
    code = importing(_scanner) + SCAN
    run_in_another_interpreter(code)
    run_in_another_interpreter(code)
    exec(SCAN, {"module": _scanner})


def test_another_interpreter_steps() -> None:
    run_in_another_interpreter(importing(_stepper))


def test_messages_are_fetched_in_the_main_interpreter_only() -> None:
    refusal = "messages are fetched in the main interpreter only"
    run_in_another_interpreter(importing(_fetcher, refusal))


def test_headers_declare_or_inline() -> None:
    headers = sorted(ROOT.glob("streamagg/**/*.h"))
    assert headers
    static = [
        line for header in headers for line in header.read_text().splitlines() if line.startswith("static ")
    ]
    assert [line for line in static if not line.startswith("static inline ")] == []
