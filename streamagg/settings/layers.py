"""Where the value of a setting comes from: flag > STREAMAGG_* variable > TOML file > default.

Every value keeps its origin, so that an error can name it. Names that nobody knows are errors.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from streamagg.errors import SettingsError
from streamagg.events import Log
from streamagg.kafka.passthrough import SECRETS
from streamagg.model.places import shown
from streamagg.settings.given import Given
from streamagg.settings.parsers import switch
from streamagg.settings.secret_files import hash_seed, refuse_on_command_line, revealed, tokens
from streamagg.settings.table import SETTINGS, Setting
from streamagg.settings.trusted_file import TRUST_VARIABLE, read_trusted

PREFIX: Final = "STREAMAGG_"
CLIENT_PREFIX: Final = "STREAMAGG_KAFKA_"
CONFIG_VARIABLE: Final = "STREAMAGG_CONFIG"
FOREIGN_PREFIXES: Final = ("STREAMAGG_TEST_", "STREAMAGG_BROKER_", "STREAMAGG_FAULT")
"""Variables of the test suite and of ``make broker``: no settings of the program."""
CLIENT_FLAG: Final = "kafka"
"""What holds the ``-X key=value`` flags, and the TOML table of the same meaning."""

log: Final = Log(__name__)


class _File(NamedTuple):
    """What a TOML file says."""

    values: dict[str, Given]
    client: dict[str, Given]
    exposed: Path | None = None
    """The file, if it holds secrets and every user of the machine can read it."""


class Layers:
    """The layers of settings laid over each other.

    Raises ``SettingsError`` for an unknown variable, an unknown TOML key, a secret in a flag, and a file that
    cannot be read or may be written by others.
    """

    def __init__(
        self, flags: Mapping[str, object], environ: Mapping[str, str], config_path: Path | None
    ) -> None:
        if config_path is None and CONFIG_VARIABLE in environ:
            config_path = Path(environ[CONFIG_VARIABLE])
        self._trusting = _is_trusting(environ)
        self._file = _from_file(config_path, self._trusting) if config_path is not None else _File({}, {})
        self._given = {**self._file.values, **_from_environ(environ), **_from_flags(flags)}
        self._client = (self._file.client, _client_from_environ(environ), _client_from_flags(flags))

    def given(self, name: str) -> Given:
        """What was written for a setting, its default included."""
        setting = SETTINGS[name]
        return self._given.get(name, Given(setting.default or setting.default_note, "the default"))

    def has(self, name: str) -> bool:
        """Whether somebody has written this setting."""
        return name in self._given

    def value(self, name: str) -> Any:
        """What a setting makes of its value, None where there is neither value nor default.

        Raises ``SettingsError`` with the name, the origin and what would be valid.
        """
        setting = SETTINGS[name]
        given = self._given.get(name)
        if given is None:
            return None if setting.default is None else setting.parsed(setting.default)
        try:
            return setting.parsed(given.value)
        except ValueError as exc:
            written = shown(repr(given.value))
            raise SettingsError(f"{name} = {written} ({given.origin}) must be {exc}.") from None

    def required(self, name: str) -> Any:
        """Like ``value``; raises ``SettingsError`` with all the ways to give it when it is absent."""
        setting = SETTINGS[name]
        if name not in self._given:
            raise SettingsError(
                f"{name} is missing: give {setting.flag} {setting.metavar}, the variable {setting.variable}"
                f" or the key {name} in the file of --config."
            )
        return self.value(name)

    @cached_property
    def client(self) -> Mapping[str, Given]:
        """The settings for the Kafka client by their names in librdkafka, unchecked; reads files of secrets.

        Raises ``SettingsError`` for such a file that cannot be read or trusted.
        """
        if self._file.exposed is not None:
            log.warning(
                "secret_readable",
                "every user of this machine can read {path}, which holds secrets: chmod o-r {path}",
                path=str(self._file.exposed),
            )
        layers = (revealed(layer, trusting=self._trusting) for layer in self._client)
        return {key: given for layer in layers for key, given in layer.items()}

    @cached_property
    def hash_seed(self) -> int:
        """The seed in the file of that setting, 0 without one.

        Raises ``SettingsError`` for a file that cannot be read or trusted, or holds too little.
        """
        if not self.value("hash_seed_file"):
            return 0
        return hash_seed(self.given("hash_seed_file"), trusting=self._trusting)

    def tokens(self) -> list[str]:
        """Digests of the tokens that are in the file of that setting now; none without one.

        Raises ``SettingsError`` for a file that cannot be read or trusted, or holds something else.
        """
        if not self.value("token_file"):
            return []
        return tokens(self.given("token_file"), trusting=self._trusting)


def _from_flags(flags: Mapping[str, object]) -> dict[str, Given]:
    """Flags of the table; names that are Python's (``from_``, ``input_``) carry an underscore."""
    named = {name.rstrip("_"): value for name, value in flags.items() if value is not None}
    return {
        name: Given(value, f"flag {_spelled(SETTINGS[name], value)}")
        for name, value in named.items()
        if name in SETTINGS
    }


def _spelled(setting: Setting, value: object) -> str:
    """The flag as it stands on the command line."""
    return setting.flag.replace("--", "--no-", 1) if setting.is_switch and value is False else setting.flag


def _client_from_flags(flags: Mapping[str, object]) -> dict[str, Given]:
    pairs = flags.get(CLIENT_FLAG)
    found: dict[str, Given] = {}
    for pair in pairs if isinstance(pairs, list | tuple) else ():
        key, equals, value = str(pair).partition("=")
        if not equals or not key.strip():
            # Not repeated: what is malformed may be a secret.
            raise SettingsError("What follows -X must be KEY=VALUE, such as -X security.protocol=SSL.")
        refuse_on_command_line(key.strip())
        found[key.strip()] = Given(value, f"flag -X {key.strip()}")
    return found


def _from_environ(environ: Mapping[str, str]) -> dict[str, Given]:
    by_variable = {setting.variable: setting for setting in SETTINGS.values()}
    found: dict[str, Given] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith((CLIENT_PREFIX, *FOREIGN_PREFIXES)):
            continue
        if variable in by_variable:
            found[by_variable[variable].name] = Given(value, f"variable {variable}")
        elif variable not in (CONFIG_VARIABLE, TRUST_VARIABLE):
            hint = _did_you_mean(variable, [*by_variable, CONFIG_VARIABLE, TRUST_VARIABLE])
            raise SettingsError(
                f"The variable {variable} is no setting of streamagg{hint}. Unset it or correct its name."
            )
    return found


def _client_from_environ(environ: Mapping[str, str]) -> dict[str, Given]:
    return {
        variable.removeprefix(CLIENT_PREFIX).lower().replace("_", "."): Given(value, f"variable {variable}")
        for variable, value in environ.items()
        if variable.startswith(CLIENT_PREFIX)
    }


def _is_trusting(environ: Mapping[str, str]) -> bool:
    try:
        return switch(environ.get(TRUST_VARIABLE, "false"))
    except ValueError as exc:
        raise SettingsError(f"The variable {TRUST_VARIABLE} must be {exc}.") from None


def _from_file(path: Path, trusting: bool) -> "_File":
    """The settings of a TOML file, and those in its table ``[kafka]``."""
    file = read_trusted(path, "The settings file", trusting=trusting)
    table = _parsed(path, file.text)
    client = table.pop(CLIENT_FLAG, {})
    if not isinstance(client, dict):
        raise SettingsError(f"{CLIENT_FLAG} in file {path} must be a table of Kafka client settings.")
    for key in table:
        if key not in SETTINGS:
            hint = _did_you_mean(key, [*SETTINGS, CLIENT_FLAG])
            raise SettingsError(f"The key {key} in file {path} is no setting of streamagg{hint}.")
    values = {key: Given(value, f"key {key} in file {path}") for key, value in table.items()}
    flat = dict(_flattened(client, path))
    exposed = path if file.readable_by_all and not SECRETS.isdisjoint(flat) else None
    return _File(values, flat, exposed)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"The settings file {path} is not TOML: {exc}.") from exc


def _flattened(table: Mapping[str, Any], path: Path, prefix: str = "") -> Iterable[tuple[str, Given]]:
    """``security.protocol = "SSL"`` is a table in a table for TOML; joined by dots again."""
    for key, value in table.items():
        name = prefix + key
        if isinstance(value, dict):
            yield from _flattened(value, path, name + ".")
        elif isinstance(value, str | int | float):
            written = str(value).lower() if isinstance(value, bool) else str(value)
            yield name, Given(written, f"key {CLIENT_FLAG}.{name} in file {path}")
        else:
            raise SettingsError(
                f"{name} (key {CLIENT_FLAG}.{name} in file {path}) must be a text or a number."
            )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f" (did you mean {close[0]}?)" if close else ""
