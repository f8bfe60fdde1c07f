"""A browser for all tests of the page, and the page with made-up answers."""

from collections.abc import Iterator
from time import time
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.chromium import chromium, executable
from tests.support.environment import CI
from tests.support.page_server import MINUTE, World, page_server

WAIT_MS = 15_000
NUMBERS = "#window-users:not([data-empty])"


class Visitor:
    """Opens the page; whatever it logs, or asks of others, is ``wrong``."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._contexts: list[BrowserContext] = []
        self.wrong: list[str] = []

    def __call__(self, path: str = "/", *, ready: str = NUMBERS, url: str | None = None, **how: Any) -> Page:
        """The page, as soon as something of it is there; ``how``: of a context of playwright."""
        context = self._browser.new_context(**{"timezone_id": "Europe/Berlin", **how})
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._look_at(request.url))
        page.goto((url or self._url) + "/" + path.removeprefix("/"))
        page.wait_for_selector(ready)
        return page

    def close(self) -> None:
        """All that was opened."""
        for context in self._contexts:
            context.close()

    def _look_at(self, asked: str) -> None:
        if not asked.startswith(("blob:", "http://127.0.0.1:")):
            self.wrong.append(f"asked for {asked}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The one of the system; while it is there, nothing else in this thread can have an event loop."""
    path = executable()
    if path is None:
        assert not CI, "Chromium is not installed"
        pytest.skip("Chromium is not installed")
    with chromium(path) as found:
        yield found


@pytest.fixture
def world() -> World:
    """A month of minutes up to now."""
    return World(int(time()) // MINUTE * MINUTE)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with page_server(world) as address:
        yield address


@pytest.fixture
def look(browser: Browser, url: str) -> Iterator[Visitor]:
    """Nothing may be wrong in the end."""
    visitor = Visitor(browser, url)
    yield visitor
    visitor.close()
    assert visitor.wrong == []
