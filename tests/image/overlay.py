"""A root directory of its own for a command: an overlay over the root of this machine.

Network, processes and devices are those of this machine. Whatever is mounted lives in a mount namespace that
ends with the command. Needs root, on Linux.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOUNT: Final = """\
set -eu
mount -t overlay overlay -o "lowerdir=/,upperdir=$UPPER,workdir=$WORK" "$MERGED"
"""
SHUT: Final = """\
mount -o remount,ro,bind "$MERGED"
"""
ENTER: Final = """\
for name in proc dev sys; do mount --rbind "/$name" "$MERGED/$name"; done
exec chroot "$MERGED" "$@"
"""


@dataclass(frozen=True, slots=True)
class Root:
    """The directories of one overlay; what is written goes to ``upper``."""

    directory: Path

    @property
    def upper(self) -> Path:
        """What differs from this machine."""
        return self.directory / "upper"

    def make(self) -> "Root":
        """Empty."""
        for name in ("upper", "work", "merged"):
            (self.directory / name).mkdir(parents=True)
        return self

    def path(self, inside: str) -> Path:
        """Where a path of the image is written to from outside."""
        return self.upper / inside.lstrip("/")

    def command(
        self, command: Sequence[str], environment: Mapping[str, str], *, user: str | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """Arguments and environment with which the command runs in here.

        With a ``user`` (``uid:gid``) it is that user, has no capabilities and cannot get any, and finds
        everything read-only.
        """
        script = MOUNT + ENTER if user is None else MOUNT + SHUT + ENTER
        outer = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        directories = {
            "UPPER": str(self.upper),
            "WORK": str(self.directory / "work"),
            "MERGED": str(self.directory / "merged"),
        }
        return [*outer, *_as(user, command, environment)], {**os.environ, **directories}

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run as root in here; raises CalledProcessError."""
        arguments, variables = self.command(command, environment)
        subprocess.run(arguments, env=variables, check=True, stdin=subprocess.DEVNULL)


def entering(pid: int, command: Sequence[str], environment: Mapping[str, str], user: str) -> list[str]:
    """Arguments with which a command runs in the root of a process that runs in one."""
    return ["nsenter", f"--target={pid}", "--mount", "--root", "--wd", *_as(user, command, environment)]


def _as(user: str | None, command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    clean = ["env", "--ignore-environment", *(f"{name}={value}" for name, value in environment.items())]
    if user is None:
        return [*clean, *command]
    uid, gid = user.split(":")
    confined = [
        *("setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"),
        *("--bounding-set=-all", "--inh-caps=-all"),
    ]
    return [*clean, *confined, "--", *command]


def missing() -> str | None:
    """Why there can be no such root here, or None."""
    if os.geteuid() != 0:
        return "only root can mount"
    lacks = [name for name in ("unshare", "nsenter", "chroot", "setpriv") if shutil.which(name) is None]
    if lacks:
        return f"missing here: {', '.join(lacks)}"
    with_mount = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    done = subprocess.run(with_mount, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"mounting is not allowed: {done.stderr.strip()}"
