"""What this process uses, and the limits of control groups as the kernel shows them."""

from pathlib import Path

import pytest

from streamagg.telemetry.process import memory_limit_bytes, rss_bytes


def limit(directory: Path, own: str, files: dict[str, str]) -> int | None:
    """In the groups ``own``, with these files below the mount point."""
    groups = directory / "cgroup"
    groups.write_text(own)
    for name, text in files.items():
        file = directory / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return memory_limit_bytes(groups, directory / "mounted")


def test_resident_memory_is_more_than_the_interpreter_alone() -> None:
    assert 1 << 20 < rss_bytes() < 1 << 40


def test_version_2_in_a_container(tmp_path: Path) -> None:
    assert limit(tmp_path, "0::/\n", {"memory.max": "536870912\n"}) == 512 << 20


def test_version_2_without_a_limit(tmp_path: Path) -> None:
    assert limit(tmp_path, "0::/user.slice\n", {"user.slice/memory.max": "max\n"}) is None


def test_the_least_limit_of_the_groups_around_counts(tmp_path: Path) -> None:
    files = {
        "system.slice/memory.max": "1000000\n",
        "system.slice/streamagg.service/memory.max": "2000000\n",
        "system.slice/other.service/memory.max": "3\n",
    }
    assert limit(tmp_path, "0::/system.slice/streamagg.service\n", files) == 1_000_000


def test_a_path_of_the_host_in_a_container(tmp_path: Path) -> None:
    """What is mounted there is the group itself."""
    assert limit(tmp_path, "0::/kubepods/pod1/abc\n", {"memory.max": "4096\n"}) == 4_096


def test_version_1(tmp_path: Path) -> None:
    own = "5:cpu,cpuacct:/a\n4:memory:/a\n1:name=systemd:/a\n"
    assert limit(tmp_path, own, {"memory/a/memory.limit_in_bytes": "8192\n"}) == 8_192


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    unlimited = {"memory/memory.limit_in_bytes": "9223372036854771712\n"}
    assert limit(tmp_path, "4:memory:/\n", unlimited) is None


@pytest.mark.parametrize("own", ["", "0::/\n"])
def test_nothing_to_read(own: str, tmp_path: Path) -> None:
    assert limit(tmp_path, own, {}) is None


def test_no_control_groups_at_all(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path / "none", tmp_path) is None
