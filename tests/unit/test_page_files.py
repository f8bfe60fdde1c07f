"""The files of the page: what was taken from others is what it was, and nothing is asked of anybody else."""

import hashlib
import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from tests.support.runbook_page import PAGE

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "streamagg" / "serve" / "page"
FILES = sorted(path for path in FOLDER.rglob("*.*") if path.suffix not in (".py", ".pyc"))
OWN = [path for path in FILES if path.parent == FOLDER]


def test_what_is_vendored_is_what_it_was() -> None:
    manifest = json.loads((FOLDER / "vendor" / "manifest.json").read_text())
    sums = {name: one["sha256"] for library in manifest.values() for name, one in library["files"].items()}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (FOLDER / "vendor").iterdir()
    }
    found.pop("manifest.json")
    assert found == sums


def test_links_to_the_runbook_lead_somewhere() -> None:
    sections = set(re.findall(r'id="([\w-]+)"', PAGE.read_text("utf-8")))
    linked = {name for path in OWN for name in re.findall(r'"(streamagg[a-z]+)"', path.read_text("utf-8"))}
    assert linked
    assert linked <= sections


def test_nothing_is_inline_and_nothing_is_elsewhere() -> None:
    for path in OWN:
        text = path.read_text("utf-8")
        assert not re.search(r"<style|<script(?![^>]* src=)| style=| on\w+=\"", text), path
        addresses = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}[^\s\"'<]*", text))
        assert addresses <= {"http://www.w3.org/2000/svg"} or path == PAGE, path


def test_all_files_are_in_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["streamagg.serve.page"]
    names = [str(path.relative_to(FOLDER)) for path in FILES]
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)] == []
