"""The Chromium of the system, driven by playwright, and what looks for pages that not everybody can use."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import jars

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
AXE: Final = "axe-core-4.14.1.tgz"
AXE_SHA256: Final = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
NPM_TIMEOUT_S: Final = 60


class AxeMissing(Exception):
    """It cannot be had here; the text says why."""


def executable() -> str | None:
    """Its path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser with an empty profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def axe() -> str:
    """The script of axe-core, fetched once and kept beside the broker's jars. Raises AxeMissing."""
    kept = jars.home() / AXE
    if not kept.is_file():
        _fetch(kept)
    if hashlib.sha256(kept.read_bytes()).hexdigest() != AXE_SHA256:
        raise ValueError(f"{kept} is not what it should be")
    with tarfile.open(kept) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def _fetch(kept: Path) -> None:
    if shutil.which("npm") is None:
        raise AxeMissing("axe-core is fetched by npm, which is not installed")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        name = AXE.removesuffix(".tgz").replace("core-", "core@")
        try:
            subprocess.run(
                ["npm", "pack", "--silent", name],
                cwd=scratch,
                capture_output=True,
                timeout=NPM_TIMEOUT_S,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise AxeMissing("npm could not fetch axe-core") from None
        (Path(scratch) / AXE).rename(kept)


def findings(page: Page, script: str) -> list[str]:
    """What axe-core finds on a page, a line for each rule and place."""
    # The page's policy lets no script in but its own; what playwright evaluates is none of the page's.
    page.evaluate(script)
    found: dict[str, Any] = page.evaluate("() => axe.run({resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
