"""Made-up measurements: the same everywhere, with the skew that was promised."""

import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streamagg.cli import execute
from streamagg.errors import ExitCode, SettingsError
from streamagg.tools.measurements import (
    CHUNK_RECORDS,
    NS,
    VALUES,
    MeasurementSettings,
    measurements,
    write_measurements,
)
from streamagg.tools.shapes import FIRST_TIME_S


def made(**settings: Any) -> list[bytes]:
    return [one for chunk in measurements(MeasurementSettings(**settings)) for one in chunk]


def test_the_first_ones_of_seed_1_are_frozen() -> None:
    digest = hashlib.sha256(b"\n".join(made(count=5_000, disorder=0.1))).hexdigest()
    assert digest == "1363e828889ac73fada97ce395c964ae8f4e56c06f80c730e8fbb0941a4391d5"


def test_each_has_a_time_a_tag_and_ten_values() -> None:
    for number, one in enumerate(made(count=2 * CHUNK_RECORDS, rate=10_000)):
        found = json.loads(one)
        assert list(found) == ["time", "tag", "values"]
        assert found["time"] == FIRST_TIME_S * NS + number * 100_000
        assert len(found["values"]) == VALUES
        assert all(0 <= value < 200 and value == round(value, 2) for value in found["values"])


def test_times_keep_their_nanoseconds_after_years() -> None:
    (chunk,) = measurements(MeasurementSettings(count=3, rate=3, first_time_s=8_000_000_000))
    times = [json.loads(one)["time"] for one in chunk]
    assert times == [8_000_000_000 * NS + nanoseconds for nanoseconds in (0, 333_333_333, 666_666_666)]


def test_the_first_tag_has_a_hundredth_and_the_second_a_hundredth_of_the_others() -> None:
    tags = Counter(json.loads(one)["tag"] for one in made(count=100_000))
    shares = [tags[f"tag-{number:05d}"] / 100_000 for number in (1, 2, 100)]
    assert shares == pytest.approx([0.01, 0.0099, 0.01 * 0.99**99], rel=0.15)


def test_so_many_as_asked_for_come_late() -> None:
    times = [json.loads(one)["time"] for one in made(count=20_000, disorder=0.1, max_delay_s=5)]
    behind = [FIRST_TIME_S * NS + n * 100_000 - time for n, time in enumerate(times)]
    assert sum(one > 0 for one in behind) == pytest.approx(2_000, rel=0.15)
    assert 4 * NS < max(behind) < 5 * NS
    assert min(behind) == 0


def test_the_first_n_do_not_depend_on_how_many_follow() -> None:
    assert made(count=10_000)[:5_000] == made(count=5_000)


def test_the_file_has_a_line_for_each() -> None:
    out = io.BytesIO()
    size = write_measurements(MeasurementSettings(count=5_000), out)
    assert size == len(out.getvalue())
    assert out.getvalue().splitlines() == made(count=5_000)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"rate": 0}, "--rate must be"), ({"disorder": 2}, "--disorder"), ({"count": -1}, "--count")],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        MeasurementSettings(**settings)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.jsonl"
    words = ["generate", "--shape", "measurements", "--count", "10", "-o", str(file)]
    assert execute(words) == ExitCode.OK
    assert file.read_bytes().splitlines() == made(count=10, rate=1_000)
    assert execute([*words, "--visits"]) == ExitCode.USAGE
    assert "--visits has no meaning for --shape measurements" in capsys.readouterr().err
    assert execute(["generate", "--shape", "circle"]) == ExitCode.USAGE
