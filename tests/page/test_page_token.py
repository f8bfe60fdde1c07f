"""The page of a real ``serve`` that wants a token: asked for, kept for the tab, and asked for anew."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, expect

from tests.page.conftest import Visitor
from tests.serve.test_serve_directory import Directory
from tests.support.published_history import MINUTE_S, Visits, values
from tests.support.serving import Serving, serving, wait_for

FIRST, SECOND = "a-token-that-is-long-enough", "another-one-that-is-long-enough"
VISITS = Visits.made(seed=8, windows=40)
NEXT = VISITS.starts[-1] + MINUTE_S
DAY = "2016-07-11"


class Guarded(NamedTuple):
    """What serves, what it follows, and who may ask."""

    served: Serving
    published: Directory
    tokens: Path

    def renew(self, token: str) -> None:
        """From here on this one is good."""
        write(self.tokens, token)
        self.served.process.send_signal(signal.SIGHUP)


def write(path: Path, token: str) -> None:
    path.write_text(token, "utf-8")
    path.chmod(0o600)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    published, tokens = Directory(tmp_path / "counts"), tmp_path / "tokens"
    published.write(DAY, "part", *values(VISITS.published()))
    published.publish()
    write(tokens, FIRST)
    flags = ("--token-file", str(tokens))
    with serving("127.0.0.1:1", f"dir:{published.root}", tmp_path / "store", *flags) as served:
        yield Guarded(served, published, tokens)


def test_who_has_a_token_sees_it_live(browser: Browser, guarded: Guarded) -> None:
    visitor = Visitor(browser, guarded.served.url)
    page = visitor("#last=1h", ready="#token:not([hidden])")
    expect(page.locator("#now")).to_be_hidden()
    for token in ("not-the-right-token-at-all", FIRST):
        page.fill("#token-text", token)
        with page.expect_response("**/v1/status"):
            page.press("#token-text", "Enter")
    expect(page.locator("#window-users")).to_have_text(f"{VISITS.window(VISITS.starts[-1])['cnt']:,}")
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#token")).to_be_hidden()
    published = VISITS.window(VISITS.starts[-1]) | {"ts": NEXT, "cnt": 54_321}
    guarded.published.write(DAY, "part", *values(iter([published])))
    guarded.published.publish()
    expect(page.locator("#window-users")).to_have_text("54,321", timeout=2_000)
    page.reload()
    expect(page.locator("#window-users")).to_have_text("54,321")
    guarded.renew(SECOND)
    wait_for(lambda: bool(guarded.served.events("renewed")))
    page.click("[data-span='24h']")
    expect(page.locator("#token")).to_be_visible()
    expect(page.locator("#now")).to_be_visible()
    expect(page.locator("#token-label")).to_contain_text("does not take that token")
    page.fill("#token-text", SECOND)
    page.press("#token-text", "Enter")
    expect(page.locator("#token")).to_be_hidden()
    expect(page.locator("#connection")).to_have_text("live")
    assert "token" not in page.url
    visitor.close()
    # Without sketches some questions have no answer, which a browser logs.
    assert all("401" in text or "422" in text for text in visitor.wrong)
