"""Documents in a file, with the settings that they are decoded by."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from streamagg.model.settings import DecodeSettings
from tests.support.corpus import decode_settings


def save(path: Path, settings: DecodeSettings, payloads: Sequence[bytes]) -> None:
    """Write a file that ``load`` reads."""
    encoded = [base64.b64encode(payload).decode() for payload in payloads]
    path.write_text(json.dumps({"settings": asdict(settings), "documents": encoded}))


def load(path: Path) -> tuple[DecodeSettings, list[bytes]]:
    """Settings and documents of a file."""
    content = json.loads(path.read_text())
    return decode_settings(content["settings"]), [base64.b64decode(text) for text in content["documents"]]
