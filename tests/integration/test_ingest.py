"""``streamagg ingest`` as a program: into a topic and into a directory, with workers that are killed."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, TopicPartition

from streamagg.kafka.admin import log_ends
from streamagg.model.settings import KafkaSettings
from streamagg.tools.generate import GenerateSettings, write
from tests.conftest import TopicFactory
from tests.support.broker import Broker
from tests.support.certificates import Authority
from tests.support.environment import CALM
from tests.support.http_server import Client
from tests.support.ingest import LINES, Program, numbered, program, written
from tests.support.instances import wait_until

PATH = "/v1/records"
TOKEN = "0123456789abcdef-first"


def in_topic(broker: str, topic: str, partitions: int = 1) -> dict[int, list[tuple[bytes | None, bytes]]]:
    """Keys and values by partition."""
    ends = log_ends(KafkaSettings(broker), topic, range(partitions))
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "look", "enable.auto.commit": False})
    found: dict[int, list[tuple[bytes | None, bytes]]] = {number: [] for number in ends}
    consumer.assign([TopicPartition(topic, number, 0) for number in ends])
    try:
        while sum(map(len, found.values())) < sum(ends.values()):
            for message in consumer.consume(1_000, 1):
                partition, value = message.partition(), message.value()
                assert partition is not None
                assert value is not None
                key = message.key()
                found[partition].append((key if key is None else bytes(key), bytes(value)))
    finally:
        consumer.close()
    return found


def values_in(broker: str, topic: str, partitions: int = 1) -> list[bytes]:
    return [value for found in in_topic(broker, topic, partitions).values() for _, value in found]


@pytest.fixture(scope="module")
def into_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Path]]:
    path = tmp_path_factory.mktemp("spool")
    with program("--output", f"dir:{path}", "--workers", "2", "--roll", "20ms") as running:
        yield running, path


def test_records_reach_finished_files(into_files: tuple[Program, Path]) -> None:
    running, path = into_files
    with Client(running.port) as client:
        assert client.ask("POST", PATH, numbered(range(10)), LINES).json == {"accepted": 10}
    wait_until(lambda: sorted(written(path)) == sorted(numbered(range(10)).splitlines(keepends=True)), "ten")


def test_a_second_program_keeps_out(into_files: tuple[Program, Path]) -> None:
    _, path = into_files
    with pytest.raises(AssertionError, match="Another streamagg ingest writes to"):
        program("--output", f"dir:{path}").__enter__()


def send_until(port: int, stop: threading.Event, start: int, acknowledged: set[int]) -> None:
    """One record after the other on connections that break now and then."""
    number = start
    while not stop.is_set():
        try:
            with Client(port) as client:
                while not stop.is_set():
                    if client.ask("POST", PATH, numbered([number]), LINES).status == 200:
                        acknowledged.add(number)
                    number += 1
        except (OSError, AssertionError):
            number += 1


def under_load(running: Program, kills: int) -> set[int]:
    """What was acknowledged while workers were killed."""
    stop, acknowledged = threading.Event(), [set[int]() for _ in range(4)]
    threads = [
        threading.Thread(target=send_until, args=(running.port, stop, 1_000_000 * n, known))
        for n, known in enumerate(acknowledged)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(kills):
            before = running.workers()
            enough = sum(map(len, acknowledged)) + 200
            wait_until(lambda: sum(map(len, acknowledged)) > enough, "records come")  # noqa: B023
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: len(set(running.workers()) - set(before)) > 0, "another worker")  # noqa: B023
        wait_until(lambda: sum(map(len, acknowledged)) > enough + 200, "records come again")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return set().union(*acknowledged)


def test_everything_acknowledged_is_in_files_though_workers_are_killed(tmp_path: Path) -> None:
    with program("--output", f"dir:{tmp_path}", "--workers", "2", "--roll", "100ms") as running:
        acknowledged = under_load(running, 2)
        assert running.stop() == 0
    lines = written(tmp_path)
    assert {b'{"n":%d}\n' % number for number in acknowledged} <= set(lines)
    assert len(set(lines)) == len(lines)
    assert list(tmp_path.glob("*/*.part")) == []
    assert sum("died: signal 9" in line for line in running.log) == 2


def test_the_program_itself_may_be_killed(tmp_path: Path) -> None:
    """Its workers end with it, and the next one finishes what they have left."""
    flags = ("--output", f"dir:{tmp_path}", "--workers", "2", "--roll", "1h")
    with program(*flags) as running, Client(running.port) as client:
        assert client.ask("POST", PATH, numbered([1]), LINES).status == 200
        workers = running.workers()
        running.process.kill()
        running.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "workers end")
    with program(*flags) as again:
        assert again.stop() == 0
    assert written(tmp_path) == [b'{"n":1}\n']


def test_workers_that_keep_dying_end_it(tmp_path: Path) -> None:
    with program("--output", f"dir:{tmp_path}", "--workers", "1", "--max-restarts", "0") as running:
        os.kill(running.workers()[0], signal.SIGKILL)
        assert running.process.wait(30) == 5
    assert "more often than --max-restarts allows" in "".join(running.log)


def test_keys_are_known_to_all_workers_and_survive_the_death_of_one(tmp_path: Path) -> None:
    headers = {**LINES, "idempotency-key": "one"}
    with program("--output", f"dir:{tmp_path}", "--workers", "2") as running:
        with Client(running.port) as client:
            assert client.ask("POST", PATH, numbered([1]), headers).status == 200
        before = running.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(running.workers()) - set(before)) == 2, "other workers")
        for _ in range(8):
            with Client(running.port) as client:
                assert client.ask("POST", PATH, numbered([1]), headers).status == 200
        assert running.stop() == 0
    assert written(tmp_path) == [b'{"n":1}\n']


def test_tokens_and_tls_are_renewed(tmp_path: Path) -> None:
    authority = Authority("anybody")
    tokens, certificate, key = tmp_path / "tokens", tmp_path / "cert.pem", tmp_path / "key.pem"

    def renew(token: str) -> None:
        issued = authority.server("127.0.0.1")
        for path, text in ((tokens, token), (certificate, issued.certificate), (key, issued.key)):
            path.write_text(text, "utf-8")
            path.chmod(0o600)

    def serial() -> int | str:
        with Client(running.port, context) as client:
            found = client.certificate()
            return str(found["serialNumber"])

    renew(TOKEN)
    context = ssl.create_default_context(cadata=authority.pem)
    flags = ("--token-file", str(tokens), "--tls-certificate", str(certificate), "--tls-key", str(key))
    with program("--output", f"dir:{tmp_path}/out", "--workers", "1", *flags) as running:

        def status(token: str) -> int:
            with Client(running.port, context) as client:
                headers = {**LINES, "authorization": f"Bearer {token}"}
                return client.ask("POST", PATH, numbered([1]), headers).status

        other = TOKEN.replace("first", "second")
        assert (status(TOKEN), status(other)) == (200, 401)
        before = serial()
        renew(other)
        os.kill(running.pid, signal.SIGHUP)
        wait_until(lambda: status(other) == 200, "the new token is good")
        assert status(TOKEN) == 401
        assert serial() != before
        tokens.write_text("short", "utf-8")
        os.kill(running.pid, signal.SIGHUP)
        wait_until(lambda: any("is no token" in line for line in running.log), "it is told")
        assert status(other) == 200
        assert running.stop() == 0
    assert other not in "".join(running.log)


def test_a_request_under_way_is_answered_at_the_end(tmp_path: Path) -> None:
    flags = ("--output", f"dir:{tmp_path}", "--workers", "2", "--http", "127.0.0.1:0")
    with program(*flags) as running, Client(running.port) as client:
        body = numbered(range(3))
        client.send(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        client.send(body[:-5])
        wait_until(lambda: b"streamagg_ingest_connections 1.0\n" in metrics(running), "it is accepted")
        running.process.terminate()
        wait_until(lambda: any("stopping" in line for line in running.log), "it has begun")
        client.send(body[-5:])
        assert client.reply().json == {"accepted": 3}
        assert running.process.wait(30) == 0
    assert b"".join(written(tmp_path)) == body


def test_run_reads_what_it_has_written(tmp_path: Path) -> None:
    """Two programs, no Kafka, and the counts of the file that was sent."""
    file, spool = tmp_path / "records.jsonl", tmp_path / "spool"
    with file.open("wb") as out:
        write(GenerateSettings(count=2_000, rate=20, size_bytes=200), out)
    lines = file.read_bytes().splitlines(keepends=True)
    with program("--output", f"dir:{spool}", "--workers", "1", "--roll", "10ms") as running:
        with Client(running.port) as client:
            for first in range(0, len(lines), 200):
                body = b"".join(lines[first : first + 200])
                assert client.ask("POST", PATH, body, LINES).json == {"accepted": 200}
        assert running.stop() == 0
    assert written(spool) == lines
    common = ("--granularity", "10s")
    ran = printed("run", "--input", f"dir:{spool}", "--output", "-", "--until-end", "--inline", *common)
    assert ran == printed("count", str(file), "--format", "jsonl", *common)
    assert ran.count(b"\n") == 11


def printed(*words: str) -> bytes:
    command = [sys.executable, "-m", "streamagg", *words]
    return subprocess.run(command, capture_output=True, check=True, env={**os.environ, **CALM}).stdout


def aside(running: Program) -> str:
    """Where its metrics and its health are served."""
    found = re.search(r"metrics at http://(\S+)/metrics", "".join(running.log))
    assert found is not None
    return found[1]


def metrics(running: Program) -> bytes:
    with urlopen(f"http://{aside(running)}/metrics", timeout=30) as reply:
        page: bytes = reply.read()
    return page


def health(address: str, *flags: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "streamagg", "health", "--http", address, *flags]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **CALM})
    return asked.returncode, asked.stdout


def test_health_asks_how_it_is(tmp_path: Path) -> None:
    """Ready, and not when nothing can be written."""
    with program("--output", f"dir:{tmp_path}", "--workers", "1", "--http", "127.0.0.1:0") as running:
        address = aside(running)
        assert health(address) == (0, "live\n")
        assert health(address, "--ready") == (0, "ready\n")
        with Client(running.port) as client:
            assert client.ask("POST", PATH, numbered([1]), LINES).status == 200
            wait_until(lambda: written(tmp_path) != [], "the file is finished")
            shutil.rmtree(tmp_path / "worker-0")
            assert client.ask("POST", PATH, numbered([1]), LINES).status == 503
        # It is told within a second.
        wait_until(lambda: "worker-0: " in health(address, "--ready")[1], "it is told")
        assert health(address) == (0, "live\n")
        assert b"streamagg_ingest_records_total 1.0\n" in metrics(running)


@pytest.mark.kafka
def test_records_reach_a_topic_by_key(broker: str, topic: TopicFactory) -> None:
    name = topic(partitions=4)
    with program("--output", name, "--bootstrap-servers", broker, "--workers", "2") as running:
        with Client(running.port) as client:
            body = b"".join(b'{"uid":"u%d","n":%d}\n' % (n % 7, n) for n in range(700))
            assert client.ask("POST", f"{PATH}?key_field=uid", body, LINES).json == {"accepted": 700}
        assert running.stop() == 0
    found = in_topic(broker, name, 4)
    assert sorted(value + b"\n" for records in found.values() for _, value in records) == sorted(
        body.splitlines(keepends=True)
    )
    places = {key: number for number, records in found.items() for key, _ in records}
    assert places.keys() == {b"u%d" % n for n in range(7)}
    for number, records in found.items():
        assert [key for key, _ in records if places[key] != number] == []
        numbers = [int(value.split(b":")[-1][:-1]) for _, value in records]
        assert numbers == sorted(numbers)


@pytest.mark.kafka
def test_everything_acknowledged_is_in_the_topic_though_workers_are_killed(
    broker: str, topic: TopicFactory
) -> None:
    name = topic(partitions=2)
    with program("--output", name, "--bootstrap-servers", broker, "--workers", "2") as running:
        acknowledged = under_load(running, 2)
        assert running.stop() == 0
    values = values_in(broker, name, 2)
    assert {b'{"n":%d}' % number for number in acknowledged} <= set(values)
    assert len(set(values)) == len(values)


@pytest.mark.kafka
def test_a_record_that_the_topic_cannot_take_harms_no_other(broker: str, topic: TopicFactory) -> None:
    name = topic(config={"max.message.bytes": "10000"})
    with program("--output", name, "--bootstrap-servers", broker, "--workers", "1") as running:
        with Client(running.port) as client:
            body = numbered([1]) + b'{"x":"%b"}\n' % (b"x" * 10_000) + numbered([2])
            reply = client.ask("POST", f"{PATH}?partial=true", body, LINES)
            assert reply.json["errors"] == [{"line": 2, "reason": "larger than 9488 bytes"}]
            most = b'{"x":"%b"}' % (b"x" * (9_488 - 8))
            assert client.ask("POST", PATH, most, LINES).status == 200
        assert running.stop() == 0
    assert values_in(broker, name) == [b'{"n":1}', b'{"n":2}', most]


@pytest.mark.kafka
@pytest.mark.slow
def test_without_kafka_it_is_refused_and_told_and_goes_on_with_it(own_broker: Broker) -> None:
    flags = ("--output", "t", "--bootstrap-servers", own_broker.address, "--workers", "1")
    with program(*flags) as running, Client(running.port) as client:
        assert client.ask("POST", PATH, numbered([1]), LINES).status == 200
        own_broker.kill()
        reply = client.ask("POST", PATH, numbered([2]), LINES)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert client.ask("GET", "/readyz").status == 503
        own_broker.start_again()
        wait_until(lambda: client.ask("GET", "/readyz").status == 200, "it is ready again")
        assert client.ask("POST", PATH, numbered([3]), LINES).status == 200
        assert running.stop() == 0
    values = values_in(own_broker.address, "t")
    assert {b'{"n":1}', b'{"n":3}'} <= set(values) <= {b'{"n":1}', b'{"n":2}', b'{"n":3}'}
