"""Secrets that a setting does not hold but names the file of: of the Kafka client, and of hashes."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streamagg.errors import SettingsError
from streamagg.events import Log
from streamagg.http.tokens import digest
from streamagg.kafka.passthrough import FILE_SUFFIX, SECRETS
from streamagg.settings.given import Given
from streamagg.settings.trusted_file import TRUST_VARIABLE, TrustedFile, read_trusted

LEAST_SEED_BYTES: Final = 16
LEAST_TOKEN_CHARACTERS: Final = 16
_TOKEN: Final = re.compile(rf"[!-~]{{{LEAST_TOKEN_CHARACTERS},}}")

log: Final = Log(__name__)


def revealed(layer: Mapping[str, Given], *, trusting: bool) -> dict[str, Given]:
    """One layer of client settings with every ``<secret>.file`` replaced by the secret in that file.

    A newline at the end of the file is no part of the secret. Raises ``SettingsError``, whose text never
    holds a secret.
    """
    found = dict(layer)
    for secret in SECRETS:
        named = found.pop(secret + FILE_SUFFIX, None)
        if named is None:
            continue
        if secret in found:
            raise SettingsError(
                f"{secret} ({found[secret].origin}) and {secret}{FILE_SUFFIX} ({named.origin}) are both"
                " given: leave one out."
            )
        found[secret] = Given(_read(secret, named, trusting), named.origin)
    return found


def hash_seed(named: Given, *, trusting: bool) -> int:
    """The seed, uint64 and not 0, that the text in a file makes; blanks and line ends around it do not count.

    Raises ``SettingsError`` for a text that is too short, and for a file that every user of the machine can
    read, unless ``trusting``. Its text never holds what is in the file.
    """
    what = f"The file for the hash seed ({named.origin}),"
    path = Path(str(named.value))
    file = read_trusted(path, what, trusting=trusting)
    _refuse_readable(what, path, file, trusting)
    text = file.text.strip().encode()
    if len(text) < LEAST_SEED_BYTES:
        raise SettingsError(
            f"{what} {path} holds a text of {len(text)} bytes: at least {LEAST_SEED_BYTES} are needed, which"
            " nobody can guess, such as those of openssl rand -hex 32."
        )
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") or 1


def tokens(named: Given, *, trusting: bool) -> list[str]:
    """Digests of the tokens in a file, one on a line; empty lines and those that begin with ``#`` are none.

    Raises ``SettingsError`` for a file without a token, with one that is too short or no printable ASCII, and
    for a file that every user of the machine can read, unless ``trusting``. Its text never holds a token.
    """
    what = f"The file of tokens ({named.origin}),"
    path = Path(str(named.value))
    file = read_trusted(path, what, trusting=trusting)
    _refuse_readable(what, path, file, trusting)
    found = []
    for number, line in enumerate(map(str.strip, file.text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        if not _TOKEN.fullmatch(line):
            raise SettingsError(
                f"Line {number} of {path} is no token: it needs at least {LEAST_TOKEN_CHARACTERS} characters"
                " of ASCII without blanks, which nobody can guess, such as those of openssl rand -hex 32."
            )
        found.append(digest(line))
    if not found:
        raise SettingsError(f"{what} {path} holds no token.")
    return found


def refuse_on_command_line(key: str) -> None:
    """Raises ``SettingsError`` for a secret: other users of the machine see the command line."""
    if key not in SECRETS:
        return
    variable = "STREAMAGG_KAFKA_" + key.upper().replace(".", "_")
    raise SettingsError(
        f"{key} is a secret, and every user of this machine can read it in a flag: give the variable"
        f" {variable}, or name a file that holds it: {variable}_FILE=PATH, -X {key}{FILE_SUFFIX}=PATH or"
        f" the key {key}{FILE_SUFFIX} in the table [kafka] of --config."
    )


def _refuse_readable(what: str, path: Path, file: TrustedFile, trusting: bool) -> None:
    if file.readable_by_all and not trusting:
        raise SettingsError(
            f"{what} {path} can be read by every user of this machine. Run: chmod o-r {path},"
            f" or set {TRUST_VARIABLE}=true to use it as it is."
        )


def _read(secret: str, named: Given, trusting: bool) -> str:
    what = f"The file for {secret} ({named.origin}),"
    path = Path(str(named.value))
    file = read_trusted(path, what, trusting=trusting)
    if file.readable_by_all:
        log.warning(
            "secret_readable",
            "every user of this machine can read {path}, the file for {secret}: chmod o-r {path}",
            path=str(path),
            secret=secret,
        )
    text = file.text.removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text:
        raise SettingsError(f"{what} {path} {'holds a NUL character' if text else 'is empty'}.")
    return text
