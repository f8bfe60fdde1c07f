"""streamagg needs nothing that it could write to: as in its container, without one.

A mount namespace with everything read-only, no capabilities, no new privileges, no home.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.support.pipeline import Feed, Run, made_records

NOBODY = 65534
# What can be written to on its own has to be closed on its own.
CLOSE_ALL = """\
set -e
mount -o remount,bind,ro /
for place in /tmp /var/tmp /run /dev/shm /dev/mqueue; do
  [ -d "$place" ] && mount --bind "$place" "$place" && mount -o remount,bind,ro "$place"
done
exec "$@"
"""
LIMIT_S = 90


def confined(uid: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that can write nowhere and may do nothing special."""
    namespace = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid() != 0:
        namespace += ["--user", "--map-root-user"]
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    user += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    return subprocess.run(
        [*namespace, "sh", "-c", CLOSE_ALL, "sh", *user, *command],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


@pytest.fixture(params=[0, NOBODY], ids=["own user", "another user"])
def uid(request: pytest.FixtureRequest) -> int:
    """Skips where the kernel lets nobody make namespaces, or the interpreter is private to its owner."""
    wanted: int = request.param
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("no unshare or no setpriv (Debian: util-linux)")
    if confined(0, "true").returncode != 0:
        pytest.skip("no mount namespaces here")
    # By a shell, as setpriv itself starts programs with the rights that it takes away.
    if confined(wanted, "sh", "-c", '"$0" -c ""', sys.executable).returncode != 0:
        pytest.skip("the interpreter is not readable for other users")
    return wanted


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", str(Path(__file__).parent)])
def test_nothing_can_be_written(uid: int, place: str) -> None:
    written = confined(uid, "sh", "-c", f"echo x > {place}/streamagg-test")
    assert written.returncode != 0
    assert "Read-only" in written.stderr or "Permission denied" in written.stderr


def test_there_are_no_capabilities(uid: int) -> None:
    status = confined(uid, "cat", "/proc/self/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


@pytest.mark.kafka
@pytest.mark.slow
def test_a_topic_is_counted(uid: int, broker: str, topic: TopicFactory, tmp_path: Path) -> None:
    run = Run(broker, topic("in", partitions=2), topic("out"), tmp_path)
    Feed(broker, run.input, 2).send(made_records(5_000))
    workers = ("--unmarshallers", "2", "--aggregators", "2", "--http", "0")
    arguments = run.arguments("--until-end", *workers)
    done = confined(uid, sys.executable, "-m", "streamagg", "run", *arguments)
    assert done.returncode == 0, done.stderr
    assert run.check() >= 9


def test_files_are_made_and_counted(uid: int) -> None:
    count = '"$0" -m streamagg generate --count 1000 | "$0" -m streamagg count - --format csv'
    done = confined(uid, "sh", "-c", count, sys.executable)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1
