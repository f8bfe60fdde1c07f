"""A short hunt, and that a hunt finds what there is to find: wrong answers, crashes and hangs."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.decode import Decoded, Decoder
from streamagg.model.settings import DecodeSettings
from streamagg.sources.directory import csv_rows
from tests.fuzz import csv_files, watch
from tests.fuzz.cases import load
from tests.fuzz.csv_files import CORPUS, CsvJudge
from tests.fuzz.documents import Maker, corpus
from tests.fuzz.judge import Judge
from tests.property.test_decode_property import damaged

ROOT = Path(__file__).parents[2]
MEBI = 1 << 20
GOOD = b'{"ts":1,"uid":"u"}'


def test_a_short_hunt_finds_nothing(tmp_path: Path) -> None:
    hunt = watch.run(tmp_path, 5, 5.0, watch.child_command())
    assert hunt.findings == []
    assert hunt.documents > 0
    assert hunt.outcomes.total() == hunt.documents


def test_a_short_hunt_of_csv_finds_nothing(tmp_path: Path) -> None:
    hunt = watch.run(tmp_path, 5, 2.0, watch.child_command(target="csv"))
    assert hunt.findings == []
    assert hunt.outcomes.keys() == {"accepted", "malformed", "bad_header"}


def test_the_corpus_of_csv_has_no_differences() -> None:
    assert list(CsvJudge(DecodeSettings()).differences(CORPUS)) == []


def test_a_wrong_answer_about_csv_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = CsvJudge(DecodeSettings())
    with monkeypatch.context() as patched:
        # Control characters stay as they are.
        patched.setattr(csv_rows, "_ESCAPED", re.compile(rb'["\\\\]'))
        assert opinions_beside(judge, "python")
    with monkeypatch.context() as patched:
        patched.setattr(
            csv_files.csv, "reader", lambda lines, strict: iter([line.split(",") for line in lines])
        )
        assert opinions_beside(judge, "library")
    with monkeypatch.context() as patched:
        whole = csv_files._chunked
        patched.setattr(csv_files, "_chunked", lambda file, step, start, kept: whole(file, step, 0, kept))
        assert opinions_beside(judge, "from one on")


def opinions_beside(judge: CsvJudge, name: str) -> bool:
    """This one differs from all others, which agree, about some of the corpus."""
    found = [difference.opinions for difference in judge.differences(CORPUS)]
    return any(len({str(opinion) for other, opinion in each.items() if other != name}) == 1 for each in found)


def test_the_corpus_has_no_differences() -> None:
    for document in corpus():
        assert list(Judge(document.settings).differences([document.payload])) == []


@settings(max_examples=50)
@given(payload=damaged() | st.binary(max_size=40))
@pytest.mark.parametrize("policy", [DecodeSettings(), DecodeSettings(time_unit="iso8601")], ids=str)
def test_documents_of_hypothesis_have_no_differences(policy: DecodeSettings, payload: bytes) -> None:
    assert list(Judge(policy).differences([payload])) == []


def test_a_seed_makes_the_same_documents_and_most_outcomes() -> None:
    one, other = Maker("7"), Maker("7")
    batches = [one.batch(64) for _ in range(20)]
    assert batches == [other.batch(64) for _ in range(20)]
    outcomes = {
        outcome if isinstance(outcome, str) else "accepted"
        for batch in batches
        for outcome in Judge(batch[0].settings).outcomes([document.payload for document in batch])
    }
    assert outcomes >= {"accepted", "bad_json", "bad_time", "bad_user", "missing_field"}


class _WrongDecoder(Decoder):
    """A millisecond late."""

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        decoded = super().decode(payloads)
        decoded.event_time_ms[:] += 1
        return decoded


def test_a_wrong_answer_is_found() -> None:
    judge = Judge(DecodeSettings())
    judge.native = _WrongDecoder(DecodeSettings())
    (difference,) = judge.differences([b"[]", GOOD])
    assert difference.payload == GOOD
    assert difference.opinions["native"] != difference.opinions["json"]


FAKE = """
import os, sys, time
from pathlib import Path
from tests.fuzz.cases import load, save
from streamagg.model.settings import DecodeSettings
directory, what = Path(sys.argv[1]), sys.argv[2]
batch = [b"1", b"deadly"]
if Path(what).is_file():
    batch = load(Path(what))[1]
save(directory / "batch.json", DecodeSettings(), batch)
if b"deadly" in batch:
    {end}
print('{{"documents": 3, "seconds": 1.0, "outcomes": {{}}, "peak_rss_mb": 1, "difference": null}}')
"""


@pytest.mark.parametrize(
    ("end", "patience_s", "said"),
    [("os.kill(os.getpid(), 11)", 30.0, "died: signal 11"), ("time.sleep(60)", 5.0, "hangs")],
    ids=["crash", "hang"],
)
def test_what_kills_or_stops_a_child_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, patience_s: float, said: str
) -> None:
    program = tmp_path / "child.py"
    program.write_text(FAKE.format(end=end))

    def command(directory: Path, what: str, seconds: float) -> list[str]:
        return [sys.executable, str(program), str(directory), what, str(seconds)]

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    hunt = watch.run(tmp_path, 1, 0.5, command, patience_s=patience_s)
    (finding,) = hunt.findings
    assert said in finding.what
    assert load(finding.path)[1] == [b"deadly"]


MONSTERS: dict[str, Callable[[], bytes]] = {
    "nesting bomb": lambda: b"[" * (100 * MEBI),
    "one string": lambda: b'{"ts":1,"uid":"u","x":"' + b"x" * (100 * MEBI) + b'"}',
    "nothing": lambda: b"\0" * (100 * MEBI),
    "escapes": lambda: b'{"ts":1,"uid":"' + b"\\u0061" * (10 * MEBI) + b'"}',
    "nesting bomb of objects": lambda: b'{"x":' * MEBI,
    "an integer user": lambda: b'{"ts":1,"uid":' + b"7" * MEBI + b"}",
    "an integer time": lambda: b'{"uid":"u","ts":' + b"7" * MEBI + b"}",
    "a fraction": lambda: b'{"uid":"u","ts":1.' + b"7" * MEBI + b"}",
    "an exponent": lambda: b'{"uid":"u","ts":1e' + b"7" * MEBI + b"}",
    "a string that is a time": lambda: b'{"uid":"u","ts":"1.' + b"7" * MEBI + b'"}',
    "keys": lambda: b"{" + b",".join(b'"%d":0' % key for key in range(MEBI // 8)) + b',"ts":1,"uid":"u"}',
    "equal keys": lambda: b'{"ts":1' + b',"uid":"u"' * (MEBI // 8) + b"}",
    "empty arrays": lambda: b'{"ts":1,"uid":"u","x":[' + b"[]," * (MEBI // 8) + b"1]}",
}
"""Documents far beyond what is decoded by default."""
GIANTS = ["nesting bomb", "one string", "nothing", "escapes"]
"""Of these the largest."""
EXPECTED = {"a fraction", "a string that is a time", "keys", "equal keys", "empty arrays"}
"""Of the others the accepted ones, when they are let in."""

WEIGH = """
import resource, sys
from pathlib import Path
from streamagg.decode import Decoder
from streamagg.model.settings import DecodeSettings
from tests.support.blocks import outcomes
payload = Path(sys.argv[1]).read_bytes()
limit, native = int(sys.argv[2]), sys.argv[3] == "True"
decoder = Decoder(DecodeSettings(max_record_bytes=limit), native=native)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(outcome,) = outcomes(decoder.decode([payload]))
print(outcome if isinstance(outcome, str) else "accepted")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", GIANTS)
def test_memory_for_monsters_is_bounded(name: str, tmp_path: Path) -> None:
    """Default limit: no memory at all; let in: a few times what the document takes, and no crash."""
    path, monster = tmp_path / "monster", MONSTERS[name]()
    path.write_bytes(monster)
    for limit, most_kb in ((MEBI, 8 << 10), (1 << 30, (len(monster) >> 10) * 5 + (16 << 10))):
        done = subprocess.run(
            [sys.executable, "-c", WEIGH, str(path), str(limit), "True"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outcome, grown_kb = done.stdout.split()
        assert int(grown_kb) <= most_kb, (name, limit, outcome)
        assert (outcome == "too_large") == (limit == MEBI)


@pytest.mark.parametrize("name", sorted(MONSTERS.keys() - set(GIANTS)))
def test_monsters_have_the_same_outcome_for_all_readers(name: str) -> None:
    judge, monster = Judge(DecodeSettings(max_record_bytes=1 << 30)), MONSTERS[name]()
    assert list(judge.differences([monster])) == []
    assert isinstance(judge.outcomes([monster])[0], tuple) == (name in EXPECTED)


def test_a_child_keeps_to_its_memory(tmp_path: Path) -> None:
    source = (
        "from tests.fuzz.child import limit_memory\n"
        "limit_memory(512)\n"
        "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "refused\n"
