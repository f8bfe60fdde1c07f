"""``serve`` as a process that follows a directory: killed at any moment, its tokens renewed."""

import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from random import Random
from typing import Any

import orjson

from tests.serve.test_serve_directory import Directory
from tests.support.published_history import Visits, values
from tests.support.serving import Serving, serving, wait_for

VISITS = Visits.made(seed=17, windows=300)
RECORDS = [record for record in VISITS.published() if "group" not in record and "calendar" not in record]
DAY = "2016-07-11"
FIRST, SECOND = "a-token-that-is-long-enough", "another-one-that-is-long-enough"


def windows(served: Serving) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.get("/v1/windows?from=0&limit=10000").get("windows", [])
    return found


def test_killed_at_any_moment_it_has_neither_a_gap_nor_a_double(tmp_path: Path) -> None:
    """While the directory grows."""
    published, chance = Directory(tmp_path / "counts"), Random(4)
    parts = [RECORDS[begin : begin + 60] for begin in range(0, len(RECORDS), 60)]
    place = f"dir:{published.root}"

    def publish(number: int) -> None:
        published.write(DAY, f"part-{number}", *values(iter(parts[number])))
        published.publish()

    publish(0)
    for number in range(1, len(parts)):
        with serving("127.0.0.1:1", place, tmp_path / "store") as served:
            publish(number)
            # That moment is what is drawn.
            time.sleep(chance.uniform(0, 0.3))
            served.kill()
    with serving("127.0.0.1:1", place, tmp_path / "store") as served:
        wait_for(lambda: len(windows(served)) >= len(RECORDS))
        assert windows(served) == RECORDS
        assert served.stop() == 0


def test_tokens_are_read_again_when_it_is_told(tmp_path: Path) -> None:
    """SIGHUP; a file in which there is none leaves the former ones."""
    published, tokens = Directory(tmp_path / "counts"), tmp_path / "tokens"
    published.write(DAY, "part", *values(iter(RECORDS[:5])))
    published.publish()

    def renew(text: str) -> None:
        tokens.write_text(text, "utf-8")
        tokens.chmod(0o600)

    renew(FIRST)
    config = tmp_path / "serve.toml"
    config.write_bytes(b'serve_keep = "minute=7d"\ntoken_file = %s\n' % orjson.dumps(str(tokens)))
    flags = ("--config", str(config))
    with serving("127.0.0.1:1", f"dir:{published.root}", tmp_path / "store", *flags) as served:

        def is_good(token: str | None) -> bool:
            return "version" in served.get("/v1/status", token)

        assert [is_good(FIRST), is_good(SECOND), is_good(None)] == [True, False, False]
        assert served.get("/livez")["live"]
        listen = urllib.request.Request(f"{served.url}/v1/live", headers={"authorization": f"Bearer {FIRST}"})
        live = urllib.request.urlopen(listen, timeout=60)
        assert live.readline() == b"retry: 2000\n"
        renew(SECOND)
        served.process.send_signal(signal.SIGHUP)
        wait_for(lambda: is_good(SECOND))
        assert not is_good(FIRST)
        # What would be told next ends it instead.
        published.write(DAY, "more", *values(iter(RECORDS[5:6])))
        published.publish()
        with live:
            assert b"data: " + values(iter(RECORDS[5:6]))[0] not in live.read()
        renew("short")
        served.process.send_signal(signal.SIGHUP)
        wait_for(lambda: bool(served.events("not_renewed")))
        assert is_good(SECOND)
        assert served.stop() == 0


def test_health_asks_it(tmp_path: Path) -> None:
    """As of a run: where it listens, no token, exit code 1 once it is gone."""
    published, tokens = Directory(tmp_path / "counts"), tmp_path / "tokens"
    published.write(DAY, "part", *values(iter(RECORDS[:1])))
    published.publish()
    tokens.write_text(FIRST, "utf-8")
    tokens.chmod(0o600)
    place = f"dir:{published.root}"

    def health(*flags: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "streamagg", "health", "--http", address, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    with serving("127.0.0.1:1", place, tmp_path / "store", "--token-file", str(tokens)) as served:
        address = served.url.removeprefix("http://")
        wait_for(lambda: health("--ready") == (0, "ready\n"))
        assert health() == (0, "live\n")
        assert served.stop() == 0
    assert health()[0] == 1
