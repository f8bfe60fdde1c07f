"""What of others is kept in this repository: libraries of the page of ``serve``, as its manifest tells."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VENDOR: Final = Path(__file__).resolve().parents[1] / "streamagg" / "serve" / "page" / "vendor"
MANIFEST: Final = VENDOR / "manifest.json"


@dataclass(frozen=True, slots=True)
class Vendored:
    """One library."""

    name: str
    version: str
    license: str
    """SPDX."""
    kind: str
    """Of the registry that it came from, as package URLs have it."""
    sha256: dict[str, str]
    """Of each of its files, by name."""

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:{self.kind}/{self.name}@{self.version}"


def read_vendored(manifest: Path = MANIFEST) -> list[Vendored]:
    """All of them."""
    found = []
    for one in json.loads(manifest.read_text("utf-8")).values():
        kind, _, name = one["package"].partition(":")
        sums = {file: about["sha256"] for file, about in one["files"].items()}
        found.append(Vendored(name, one["version"], one["license"], kind, sums))
    return found
