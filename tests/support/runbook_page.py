"""The runbook as a file of the page; ``python -m tests.support.runbook_page`` makes it of docs/runbook.md."""

import re
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "docs" / "runbook.md"
PAGE: Final = ROOT / "streamagg" / "serve" / "page" / "runbook.html"
_HEADING: Final = re.compile(r"<h2>(.*?)</h2>")
_ELSEWHERE: Final = re.compile(r'<a href="(?!#)[^"]*">(.*?)</a>', re.DOTALL)
_CODE: Final = re.compile(r"<pre>")
_FRAME: Final = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>streamagg runbook</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/style.css">
  </head>
  <body class="text">
    <header>
      <p class="brand"><img src="/icon.svg" alt="" width="22" height="22"> <a href="/">To the numbers</a></p>
    </header>
    <main><section>
{text}</section></main>
  </body>
</html>
"""


def runbook_page() -> str:
    """Its HTML. A section can be linked to by its name; links to documents that are not here become text."""
    html = MarkdownIt("commonmark").enable("table").render(SOURCE.read_text("utf-8"))
    html = _HEADING.sub(lambda found: f'<h2 id="{_anchor(found[1])}">{found[1]}</h2>', html)
    html = _CODE.sub('<pre tabindex="0">', html)
    return _FRAME.format(text=_ELSEWHERE.sub(r"\1", html))


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-"))


if __name__ == "__main__":
    PAGE.write_text(runbook_page(), "utf-8")
