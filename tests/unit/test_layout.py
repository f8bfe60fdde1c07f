"""What CONTRIBUTING.md and each folder's ``__init__`` say about the layout is true."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "streamagg"
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
TOP = {path.name for path in FOLDERS if path.parent == PACKAGE}
BOTTOM = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
"""Modules beside the folders. Any folder may import them, and need not say so."""
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def imported(path: Path) -> Iterator[str]:
    """Folders and modules at the top of the package that a module imports from."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            root, _, rest = node.module.partition(".")
            if root == "streamagg":
                yield from [rest.partition(".")[0]] if rest else [alias.name for alias in node.names]


@cache
def imports_of(folder: Path) -> set[str]:
    """Other folders at the top that anything in this one imports."""
    own = folder.relative_to(PACKAGE).parts[0]
    return {name for path in folder.rglob("*.py") for name in imported(path)} & TOP - {own}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_says_what_it_imports(folder: Path) -> None:
    """In a sentence of its docstring: "Imports core, model and settings.". It may import no others."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    sentence = re.search(r"Imports ([^.;:]+)[.;:]", " ".join(docstring.split()))
    assert sentence is not None, docstring
    assert imports_of(folder) <= set(re.findall(r"\w+", sentence[1]))


def test_imports_point_down_in_the_picture() -> None:
    """Names in one line are one layer; indented ones are parts of the layer above."""
    picture = re.search(r"```\n(cli\n.*?)```", CONTRIBUTING, re.DOTALL)
    assert picture is not None
    layers = [set(re.findall(r"\w+", line)) for line in picture[1].splitlines() if line[0] != " "]
    place = {name: number for number, layer in enumerate(layers) for name in layer & (TOP | BOTTOM)}
    assert place.keys() == TOP | BOTTOM
    for name in TOP:
        assert [there for there in imports_of(PACKAGE / name) if place[there] < place[name]] == []
