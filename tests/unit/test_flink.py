"""What starts a job on Apache Flink: what is refused, what a cluster is sent, what is said to be missing."""

import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from streamagg.cli import execute
from streamagg.errors import SettingsError
from streamagg.flink import clients, jars, launch, promises
from streamagg.flink.cluster import Cluster, ClusterFailed
from streamagg.model.settings import CeilingSettings, KafkaSettings, RunSettings

SETTINGS = RunSettings("in", "out")


def execute_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert execute(["flink", "--input", "in", "--output", "out", *words]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("where", [[], ["--local", "--print"], ["--jar", "x", "--submit", "h:1"]])
def test_there_is_one_place_to_run(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "one of --local, --submit, --print, --jar and --hand-back" in execute_refused(where, capsys)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--checkpoint-interval", "6m"], "at most 5 minutes"),
        (["--checkpoint-interval", "often"], "--checkpoint-interval often must be"),
        (["--savepoint", "x", "--until-end"], "--until-end cannot be given with --savepoint"),
        (["--checkpoints", "x"], "--checkpoints is for --local"),
        (["-X", "socket.keepalive.enable=true"], "socket.keepalive.enable"),
    ],
)
def test_what_a_job_cannot_keep_is_said_first(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in execute_refused(["--print", *words], capsys)


def test_approximate_counts_are_refused() -> None:
    ceiling = CeilingSettings(1_000, above="approximate")
    with pytest.raises(SettingsError, match="approximate counts"):
        promises.check(RunSettings("in", "out", ceiling=ceiling), 1)


def test_topics_that_a_job_does_not_write_are_refused() -> None:
    with pytest.raises(SettingsError, match="sketches"):
        promises.check(RunSettings("in", "out", sketches="s"), 1)
    with pytest.raises(SettingsError, match="running"):
        promises.check(RunSettings("in", "out", running="r"), 1)
    promises.check(SETTINGS, 1)


@pytest.mark.parametrize(
    ("given", "java"),
    [
        ({"security.protocol": "sasl_ssl"}, {"security.protocol": "SASL_SSL"}),
        ({"ssl.endpoint.identification.algorithm": "none"}, {"ssl.endpoint.identification.algorithm": ""}),
        (
            {"ssl.ca.pem": "A", "ssl.certificate.pem": "B", "ssl.key.pem": "C", "ssl.key.password": "D"},
            {
                "ssl.truststore.certificates": "A",
                "ssl.truststore.type": "PEM",
                "ssl.keystore.certificate.chain": "B",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.key": "C",
                "ssl.key.password": "D",
            },
        ),
        (
            {"ssl.keystore.location": "/a.p12", "ssl.keystore.password": "x"},
            {
                "ssl.keystore.location": "/a.p12",
                "ssl.keystore.password": "x",
                "ssl.keystore.type": "PKCS12",
            },
        ),
        (
            {"sasl.mechanisms": "PLAIN", "sasl.username": 'a"b', "sasl.password": "c\\d"},
            {
                "sasl.mechanism": "PLAIN",
                "sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required"
                ' username="a\\"b" password="c\\\\d";',
            },
        ),
        ({"socket.timeout.ms": "9", "client.id": "x"}, {"request.timeout.ms": "9", "client.id": "x"}),
        ({"max.poll.interval.ms": "3000", "group.protocol": "classic"}, {}),
    ],
)
def test_client_settings_have_the_names_of_the_java_client(
    given: dict[str, str], java: dict[str, str]
) -> None:
    assert clients.java_settings(given) == java


def test_files_of_client_settings_are_handed_on_by_what_is_in_them(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("PEM")
    found = clients.java_settings({"ssl.ca.location": str(authority)})
    assert found == {"ssl.truststore.certificates": "PEM", "ssl.truststore.type": "PEM"}
    with pytest.raises(SettingsError, match=r"ssl.key.location: .* cannot be read"):
        clients.java_settings({"ssl.key.location": str(tmp_path / "none")})


def test_another_login_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"sasl\.mechanism=GSSAPI"):
        clients.java_settings({"sasl.mechanism": "GSSAPI"})


def test_secrets_of_the_java_client_are_those_of_librdkafka() -> None:
    secret = {"sasl.password", "sasl.username", "ssl.key.pem", "ssl.key.password", "ssl.keystore.password"}
    given = dict.fromkeys(secret, "CANARY") | {"sasl.mechanism": "PLAIN", "client.id": "seen"}
    text = launch.by_hand(RunSettings("in", "out", kafka=KafkaSettings(client=given)), launch.Plan(1, 1))
    assert "CANARY" not in text
    assert "seen" in text


def test_a_transaction_outlasts_some_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "transaction_timeout_ms", lambda *_: 60_000)
    told = json.loads(launch._begun(SETTINGS, launch.Plan(1, 20_000), None))
    assert told["transaction_ms"] == 60_000
    with pytest.raises(SettingsError, match="at most 20000 ms"):
        launch._begun(SETTINGS, launch.Plan(1, 20_001), None)


def test_a_person_sees_settings_without_secrets_and_the_command() -> None:
    login = {"sasl.mechanism": "PLAIN", "sasl.password": "CANARY", "sasl.username": "me"}
    kafka = KafkaSettings(client={**login, "client.id": "mine"})
    text = launch.by_hand(RunSettings("in", "out", kafka=kafka), launch.Plan(3, 5_000, savepoint="s3://x"))
    assert "CANARY" not in text
    assert '"client.id": "mine"' in text
    assert "flink run -d -p 3" in text
    assert "-s s3://x" in text
    assert "COUNT(DISTINCT `uid`)" in text


def test_the_newest_savepoint_of_a_directory_is_taken(tmp_path: Path) -> None:
    for number, name in enumerate(["a/chk-1", "b/savepoint-2", "a/chk-3"]):
        place = tmp_path / name / "_metadata"
        place.parent.mkdir(parents=True)
        place.touch()
        os.utime(place, ns=(number, number))
    assert launch._newest(str(tmp_path)) == (tmp_path / "a/chk-3").as_uri()
    assert launch._newest(str(tmp_path / "a/chk-1")) == (tmp_path / "a/chk-1").as_uri()
    assert launch._newest("s3://bucket/x") == "s3://bucket/x"
    assert launch._newest("file:/x") == "file:/x"
    with pytest.raises(SettingsError, match="holds no savepoint"):
        launch._newest(str(tmp_path / "a/chk-1" / "none"))


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(jars.FlinkMissing, match="needs Java 17"):
        jars.java()
    with pytest.raises(jars.FlinkMissing, match=r"needs Maven \(mvn\)"):
        jars.built()
    launcher = tmp_path / "java"
    launcher.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    launcher.chmod(0o755)
    with pytest.raises(jars.FlinkMissing, match="older than 17"):
        jars.java()


def test_a_build_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {
        "java": "echo 'version \"21\"' >&2",
        "mvn": "echo '[ERROR] No network'; exit 1",
    }.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(jars.FlinkMissing, match="No network"):
        jars.built()
    assert list((tmp_path / "cache" / "streamagg").iterdir()) == []


def test_the_jar_for_a_cluster_holds_what_the_job_needs(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "kafka-clients-4.jar").write_bytes(b"jar")
    with zipfile.ZipFile(tmp_path / "streamagg-flink-1.jar", "w") as own:
        own.writestr("Job.class", b"code")
    jars.Built(tmp_path).write_jar(tmp_path / "out.jar")
    with zipfile.ZipFile(tmp_path / "out.jar") as jar:
        assert set(jar.namelist()) == {"Job.class", "lib/kafka-clients-4.jar"}


class Answers(BaseHTTPRequestHandler):
    """A cluster that takes any jar."""

    seen: list[tuple[str, bytes]]
    refusal = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, body))
        uploading = self.path.endswith("/upload")
        answer = {"filename": "/tmp/up/1_x.jar"} if uploading else {"jobid": "j1"}
        refused = bool(self.refusal) and not uploading
        text = json.dumps({"errors": ["outer", self.refusal]} if refused else answer).encode()
        self.send_response(500 if refused else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def cluster(refusal: str = "") -> Iterator[tuple[Cluster, list[tuple[str, bytes]]]]:
    seen: list[tuple[str, bytes]] = []
    handler = type("Here", (Answers,), {"seen": seen, "refusal": refusal})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Cluster(f"127.0.0.1:{server.server_port}"), seen
        finally:
            server.shutdown()
            thread.join()


def test_a_cluster_gets_the_jar_and_then_the_job(tmp_path: Path) -> None:
    jar = tmp_path / "x.jar"
    jar.write_bytes(b"PK-jar")
    with cluster() as (at, seen):
        assert at.submit(jar, {"parallelism": 2}) == "j1"
        at.close()
    assert [path for path, _ in seen] == ["/v1/jars/upload", "/v1/jars/1_x.jar/run"]
    assert b"PK-jar" in seen[0][1]
    assert json.loads(seen[1][1]) == {"parallelism": 2}


def test_a_refusal_of_a_cluster_is_its_innermost_cause(tmp_path: Path) -> None:
    jar = tmp_path / "x.jar"
    jar.write_bytes(b"")
    with cluster("top\nCaused by: middle\nCaused by: no slots") as (at, _):
        with pytest.raises(ClusterFailed, match=r"refuses the job: no slots$"):
            at.submit(jar, {})
        at.close()


def test_a_cluster_that_is_away_is_said(tmp_path: Path) -> None:
    jar = tmp_path / "x.jar"
    jar.write_bytes(b"")
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        port = server.server_port
    with pytest.raises(ClusterFailed, match="does not answer"):
        Cluster(f"http://127.0.0.1:{port}").submit(jar, {})


@pytest.mark.parametrize("address", ["here", "ftp://x:1", "x:port"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(SettingsError, match="--submit"):
        Cluster(address)


def test_the_table_of_promises_names_tests_that_there_are() -> None:
    root = Path(__file__).resolve().parents[2]
    _, _, rest = (root / "docs" / "flink.md").read_text("utf-8").partition("## Promise by promise")
    table = rest.partition("\n## ")[0]
    sources = [*(root / "tests").rglob("test_*.py"), *(jars.PROJECT / "src" / "test").rglob("*.java")]
    there = {
        name
        for source in sources
        for name in re.findall(r"(?:def|class) (test_\w+|\w+Test)\b", source.read_text("utf-8"))
    }
    named = set(re.findall(r"`(test_\w+|\w+Test)`", table))
    assert len(named) > 15
    assert named <= there
