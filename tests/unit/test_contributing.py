"""The questions in CONTRIBUTING.md are answered with files and names that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SECTION = re.search(r"^## Ten questions\n(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
ANSWERS = re.findall(
    r"^\d+\. \*\*(.+?\?)\*\*\s(.+?)(?=^\d+\. |\Z)", SECTION[1] if SECTION else "", re.DOTALL | re.MULTILINE
)


def defined(file: Path) -> set[str]:
    """Names of a module, those of a class as ``Class.name``."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        name = _name(node)
        found.add(name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{name}.{_name(inner)}" for inner in node.body}
    return found


def _name(node: ast.stmt) -> str:
    match node:
        case ast.ClassDef() | ast.FunctionDef():
            return node.name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def test_there_are_ten() -> None:
    assert len(ANSWERS) == 10


@pytest.mark.parametrize(("question", "answer"), ANSWERS, ids=[question for question, _ in ANSWERS])
def test_an_answer_names_what_is_there(question: str, answer: str) -> None:
    """Names follow their file: "``core/windows.py``: ``Windows.timely``"."""
    here: Path | None = None
    for name in re.findall(r"`([^`]+)`", answer):
        if "/" in name:
            places = [root / name for root in (ROOT / "streamagg", ROOT)]
            here = next((place for place in places if place.exists()), None)
            assert here is not None, f"there is no {name}"
        elif here is not None and here.suffix == ".py":
            assert name in defined(here), f"{here.name} has no {name}"
