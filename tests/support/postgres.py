"""A real PostgreSQL on this machine, for tests: of the Debian package, in a directory of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from tests.support.broker import HOST, free_port

PROGRAMS: Final = Path("/usr/lib/postgresql")
START_TIMEOUT_S: Final = 60.0
_LOG_TAIL_CHARS: Final = 2_000
SETTINGS: Final[Mapping[str, object]] = {
    "listen_addresses": HOST,
    # What the kernel has been given outlives a server that is killed; machines that die are another test.
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": 40,
    "timezone": "America/New_York",
    # Says what it does in a language that nobody may rely on.
    "lc_messages": "C",
}


class PostgresMissing(Exception):
    """There is none on this machine; the text says what to do."""


class PostgresFailed(Exception):
    """It did not start."""


class Postgres:
    """One server with its data and log; ended by its process id."""

    def __init__(self, settings: Mapping[str, object] | None = None, home: Path | None = None) -> None:
        """Raises PostgresMissing. ``settings`` take the place of the usual ones.

        ``home``: where its data are, made here; None: anywhere.
        """
        self._programs = _programs()
        if home is not None:
            home.mkdir()
        self._home = home or Path(tempfile.mkdtemp(prefix="streamagg-postgres-"))
        self.port = free_port()
        self._settings = {**SETTINGS, "port": self.port, "unix_socket_directories": self._home}
        self._settings |= settings or {}
        self._user = _user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "--pgdata", str(self.data), "--username=postgres", "--auth=trust", "--no-sync")

    @property
    def data(self) -> Path:
        """Its directory."""
        return self._home / "data"

    @property
    def log(self) -> Path:
        """What it writes."""
        return self._home / "log"

    @property
    def pid(self) -> int:
        """Of the server that runs."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres", user: str = "postgres", parameters: str = "") -> str:
        """How clients name a database of it."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}{parameters and '?'}{parameters}"

    def start(self) -> Self:
        """Returns when it answers; raises PostgresFailed."""
        import psycopg  # its native part is not there for each interpreter that tests run in

        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                # After a kill the memory of the one before may not be given back yet.
                self._process = self._begin()
            with suppress(psycopg.OperationalError):
                self.run("SELECT 1")
                return self
            time.sleep(0.05)
        raise PostgresFailed(self.log.read_text()[-_LOG_TAIL_CHARS:])

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As its superuser, one transaction each; the rows of the last one."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def put(self, name: str, text: str) -> None:
        """A file of its own, which nobody else can read."""
        path = self.data / name
        path.write_text(text)
        path.chmod(0o600)
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def send(self, number: signal.Signals) -> None:
        """A signal to the server, and all that serve connections, if it runs."""
        assert self._process is not None
        pids = () if self._process.poll() is not None else (self.pid, *_children(self.pid))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """At once, as a machine that dies: those that serve connections might finish what they are at."""
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """As an administrator does who does not wait for clients."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def remove(self) -> None:
        """With all that it holds."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _begin(self) -> subprocess.Popen[bytes]:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **self._as_user(),
            )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        if done.returncode:
            raise PostgresFailed(done.stdout + done.stderr)

    def _as_user(self) -> dict[str, Any]:
        """The server refuses to run as root."""
        if self._user is None:
            return {"cwd": self._home}
        return {"cwd": self._home, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _programs() -> Path:
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise PostgresMissing("install the Debian package postgresql (15 or newer)")
    return found[-1].parent


def _user() -> pwd.struct_passwd | None:
    """Whom to run as; None: whoever runs the tests."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissing("there is no user to run it as but root")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
