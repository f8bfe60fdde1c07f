"""What a replay sends of a file, and what it does not: text, unless asked to send all."""

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from confluent_kafka import Consumer, TopicPartition

from streamagg.cli import execute
from streamagg.errors import FileUnreadable, SettingsError
from streamagg.kafka.embedded import PARTITIONS, embedded_broker
from streamagg.model.settings import KafkaSettings
from streamagg.tools import replay as module
from streamagg.tools.replay import (
    NOT_TEXT,
    TOO_LONG,
    ReplaySettings,
    ReplayStats,
    StopSwitch,
    is_text,
    replay,
)

SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
LINES = [b'{"n":%d}' % n for n in range(2_000)]


@pytest.fixture
def broker() -> Iterator[str]:
    with embedded_broker(["t"]) as address:
        yield address


def send(broker: str, path: Path, content: bytes, **settings: object) -> ReplayStats:
    path.write_bytes(content)
    given = ReplaySettings(str(path), "t", KafkaSettings(broker), **settings)  # type: ignore[arg-type]
    return replay(given, StopSwitch(), lambda sent, file: None)


def arrived(broker: str) -> list[bytes]:
    settings = {"group.id": "g", "enable.partition.eof": True, "fetch.wait.max.ms": 10, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": broker, **settings})
    consumer.assign([TopicPartition("t", number, 0) for number in range(PARTITIONS)])
    found: list[bytes] = []
    ended = 0
    while ended < PARTITIONS:
        message = consumer.poll(10)
        assert message is not None, "the end of a partition did not come"
        if message.error() is None:
            found.append(message.value() or b"")
        else:
            ended += 1
    consumer.close()
    return found


def test_frames_to_be_skipped_are_no_lines(broker: str, tmp_path: Path) -> None:
    content = b"\n".join(LINES)
    stats = send(broker, tmp_path / "f", SKIPPED + zstandard.compress(content) + SKIPPED)
    assert (stats.delivered, stats.sent.reasons) == (len(LINES), {})
    assert sorted(arrived(broker)) == sorted(LINES)


def test_a_byte_order_mark_is_not_sent(broker: str, tmp_path: Path) -> None:
    send(broker, tmp_path / "f", b"\xef\xbb\xbf{}\n")
    assert arrived(broker) == [b"{}"]


@pytest.mark.parametrize("content", [bz2.compress(b"a\n"), gzip.compress(bz2.compress(b"a\n"), mtime=0)])
def test_other_formats_are_refused_before_anything_is_done(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SettingsError, match="is compressed with bzip2"):
        send("nobody:1", tmp_path / "f", content)


@pytest.mark.parametrize("line", [b"[\0]", b"\x80\x81", b"{}\0"])
def test_a_file_that_begins_without_text_is_refused_unless_told(
    broker: str, tmp_path: Path, line: bytes
) -> None:
    with pytest.raises(SettingsError, match=r"first line .* is not text.* Give --raw"):
        send(broker, tmp_path / "f", line + b"\na\n")
    assert arrived(broker) == []
    assert send(broker, tmp_path / "f", line + b"\na\n", raw=True).delivered == 2
    assert sorted(arrived(broker)) == sorted([line, b"a"])


def test_lines_that_are_no_text_are_left_out_and_counted(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    stats = send(broker, tmp_path / "f", b"a\n\x80\n\0\nb\n" + b"c" * 11 + b"\n")
    assert sorted(arrived(broker)) == [b"a", b"b"]
    assert (stats.sent.records, stats.delivered) == (5, 2)
    assert stats.sent.reasons == {NOT_TEXT: 2, TOO_LONG: 1}


def test_what_was_good_before_damage_is_sent_and_the_damage_is_told(broker: str, tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join(LINES), compresslevel=1)
    stats = send(broker, tmp_path / "f", whole[: len(whole) // 2])
    assert isinstance(stats.unreadable, FileUnreadable)
    assert 100 < stats.delivered < len(LINES)
    assert sorted(arrived(broker)) == sorted(LINES[: stats.delivered])


def test_the_command_says_what_is_missing(
    broker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f"
    command = ["replay", str(path), "--topic", "t", "--bootstrap-servers", broker]
    path.write_bytes(b"a\n\x80\n")
    assert execute(command) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("1 records (0.0 MB) delivered to t")
    assert "1 of 2 records were not delivered: not text" in captured.err
    assert "Give --raw" in captured.err
    path.write_bytes(gzip.compress(b"a\nb")[:-1])
    assert execute(command) == 1
    assert "damaged or cut short" in capsys.readouterr().err
    path.write_bytes(b"a\n\x80\n")
    assert execute([*command, "--raw"]) == 0


def test_text_is_utf_8_without_nul() -> None:
    assert [is_text(line) for line in (b"a", "é".encode(), b"\xe9", b"a\0", b"")] == [
        True,
        True,
        False,
        False,
        True,
    ]
