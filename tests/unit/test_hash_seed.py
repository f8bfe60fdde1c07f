"""The secret seed of hashes: where it comes from, and what it is good for."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from streamagg.cli import execute
from streamagg.core.checkpoint import fingerprint
from streamagg.core.measures.theta import NOMINAL, compact_theta
from streamagg.decode.decoder import Decoder
from streamagg.errors import ExitCode, SettingsError
from streamagg.model.columns import UInt64Column
from streamagg.model.settings import CeilingSettings, DecodeSettings, WindowSettings
from streamagg.settings import secret_files
from streamagg.settings.resolve import Resolver
from streamagg.settings.trusted_file import TRUST_VARIABLE
from streamagg.tools.recount import counted_users
from tests.support.chosen_ids import ids_of_least_hashes

SECRET = "CANARY-5c1f-0123456789"
SEED = int.from_bytes(hashlib.sha256(SECRET.encode()).digest()[:8], "little")
BILLION = 10**9


def written(tmp_path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "seed"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def seed_of(path: Path, **variables: str) -> int:
    return Resolver({"hash_seed_file": str(path)}, variables).decode().hash_seed


def refused(path: Path) -> str:
    """The one sentence of the error, which holds nothing of the file; nor does anything it came from."""
    with pytest.raises(SettingsError) as caught:
        seed_of(path)
    error: BaseException | None = caught.value
    while error is not None:
        assert "CANARY" not in repr(error)
        error = error.__context__
    return str(caught.value)


class TestTheFile:
    @pytest.mark.parametrize("around", ["{}", "{}\n", " \t{}\r\n\n", "\ufeff{}"])
    def test_blanks_around_the_text_do_not_count(self, tmp_path: Path, around: str) -> None:
        assert seed_of(written(tmp_path, around.format(SECRET))) == SEED

    def test_it_may_be_named_anywhere_as_settings_are(self, tmp_path: Path) -> None:
        path, config = written(tmp_path, SECRET), tmp_path / "settings.toml"
        config.write_text(f'hash_seed_file = "{path}"')
        config.chmod(0o600)
        assert Resolver({}, {"STREAMAGG_HASH_SEED_FILE": str(path)}).decode().hash_seed == SEED
        assert Resolver({}, {}, config).decode().hash_seed == SEED

    def test_without_a_file_there_is_no_seed(self) -> None:
        assert Resolver({}, {}).decode().hash_seed == 0

    def test_a_seed_is_never_0(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Zeros:
            def __init__(self, _: bytes) -> None: ...

            def digest(self) -> bytes:
                return bytes(32)

        monkeypatch.setattr(secret_files.hashlib, "sha256", Zeros)
        assert seed_of(written(tmp_path, SECRET)) == 1

    @pytest.mark.parametrize("content", ["", " \n", "CANARY-01234567", "  CANARY-01234567\n", "é" * 7])
    def test_sixteen_bytes_are_needed(self, tmp_path: Path, content: str) -> None:
        assert "at least 16 are needed" in refused(written(tmp_path, content))
        assert seed_of(written(tmp_path, content.strip().ljust(15, "x") + "é"))

    def test_it_must_be_text(self, tmp_path: Path) -> None:
        assert "is not text in UTF-8" in refused(written(tmp_path, SECRET.encode() + b"\xff"))

    def test_it_must_be_there(self, tmp_path: Path) -> None:
        text = refused(tmp_path / "absent")
        assert "The file for the hash seed (flag --hash-seed-file)" in text
        assert "No such file" in text

    @pytest.mark.parametrize(
        ("mode", "words"), [(0o644, "chmod o-r"), (0o660, "chmod go-w"), (0o602, "chmod go-w")]
    )
    def test_others_may_neither_read_nor_write_it(self, tmp_path: Path, mode: int, words: str) -> None:
        path = written(tmp_path, SECRET, mode)
        assert words in refused(path)
        assert seed_of(path, **{TRUST_VARIABLE: "true"}) == SEED

    def test_its_group_may_read_it(self, tmp_path: Path) -> None:
        assert seed_of(written(tmp_path, SECRET, 0o640)) == SEED

    def test_settings_do_not_show_it(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        settings = Resolver({"hash_seed_file": str(written(tmp_path, SECRET))}, {}).count(["-"])
        assert settings.decode.hash_seed == SEED
        for shown in (repr(settings), caplog.text):
            assert str(SEED) not in shown
            assert SECRET not in shown

    def test_another_seed_is_another_fingerprint(self, tmp_path: Path) -> None:
        seeded = Resolver({"hash_seed_file": str(written(tmp_path, SECRET))}, {}).decode()
        other = Resolver({"hash_seed_file": str(written(tmp_path, SECRET + "!"))}, {}).decode()
        plain = Resolver({}, {}).decode()
        assert len({fingerprint(WindowSettings(), decode) for decode in (seeded, other, plain)}) == 3


def hashed(users: Sequence[str], seed: int) -> UInt64Column:
    """What the decoder makes of a record of each; ascending and distinct."""
    records = [orjson.dumps({"ts": 1, "uid": user}) for user in users]
    decoded = Decoder(DecodeSettings(hash_seed=seed)).decode(records)
    assert decoded.rejected == []
    return np.array(sorted({*decoded.columns[0].tolist()}), np.uint64)


def sketch(users: Sequence[str], seed: int) -> Any:
    datasketches = pytest.importorskip("datasketches", reason="no wheel for this Python")
    return datasketches.compact_theta_sketch.deserialize(compact_theta(hashed(users, seed)))


@pytest.fixture(scope="module")
def users() -> list[str]:
    """A thousand that are honest, and as many with chosen ids as fill a sketch."""
    return [*(f"user-{number}" for number in range(1_000)), *ids_of_least_hashes(NOMINAL + 1)]


class TestChosenIds:
    def test_they_make_a_sketch_say_billions(self, users: list[str]) -> None:
        found = sketch(users, 0)
        assert found.get_estimate() > BILLION
        assert found.get_lower_bound(3) > BILLION

    def test_with_a_seed_that_their_maker_does_not_know_they_are_users_like_others(
        self, users: list[str]
    ) -> None:
        found = sketch(users, SEED)
        assert found.get_lower_bound(3) <= len(users) <= found.get_upper_bound(3)
        assert found.get_estimate() == pytest.approx(len(users), rel=0.03)

    def test_exact_counts_are_immune(self, users: list[str]) -> None:
        assert len(hashed(users, 0)) == len(users)


def test_an_approximate_count_is_that_of_the_seeded_hashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the recount says; another seed makes another estimate."""
    pytest.importorskip("datasketches", reason="no wheel for this Python")
    users = {str(number) for number in range(80_000)}
    path = tmp_path / "flood.jsonl"
    path.write_bytes(b"".join(b'{"ts":1,"uid":"%s"}\n' % user.encode() for user in users))
    counted = []
    for more in ([], ["--hash-seed-file", str(written(tmp_path, SECRET))]):
        ceiling = ["--max-users", "70000", "--above-max-users", "approximate"]
        assert execute(["count", str(path), "--inline", "--format", "jsonl", *ceiling, *more]) == ExitCode.OK
        counted.append(orjson.loads(capsys.readouterr().out)["cnt"])
    ceilings = CeilingSettings(70_000, "approximate")
    assert counted == [counted_users(users, ceilings, seed)[0] for seed in (0, SEED)]
    assert counted[0] != counted[1]


def test_a_seed_changes_no_exact_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Users, groups and distinct values are told apart as before, in their order."""
    path = tmp_path / "visits.jsonl"
    visits = [{"ts": n // 9, "uid": f"u{n % 83}", "page": f"p{n % 17}", "price": n % 7} for n in range(2_000)]
    path.write_bytes(b"\n".join(map(orjson.dumps, visits)))
    measures = ["--measure", "prices=uniques(price)", "--measure", "price=last(price)"]
    command = ["count", str(path), "--inline", "--format", "jsonl", "--group-by", "page", *measures]
    printed = []
    for more in ([], ["--hash-seed-file", str(written(tmp_path, SECRET))]):
        assert execute([*command, *more]) == ExitCode.OK
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count('"group"') > 17
