"""Durations, moments and sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.settings.quantities import (
    LONGEST_MS,
    duration_ms,
    duration_parts,
    duration_text,
    moment_ms,
    size_bytes,
)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("60s", 60_000),
        ("500ms", 500),
        ("2m", 120_000),
        ("1m30s", 90_000),
        ("1.5s", 1_500),
        ("0.001s", 1),
        ("36h", 129_600_000),
        ("7d", 604_800_000),
        ("60", 60_000),
        ("0.25", 250),
        (60, 60_000),
        (0.5, 500),
        (" 5s ", 5_000),
        ("0s", 0),
        ("-5s", -5_000),
    ],
)
def test_durations_are_read(text: object, expected_ms: int) -> None:
    assert duration_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "5 s",
        "5x",
        "1e3",
        "0.0001s",
        "nan",
        "inf",
        "60S",
        "٦s",
        "5s-3s",
        True,
        None,
        [],
        "4000d",
        "1_000",
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0s"),
        (1, "0.001s"),
        (1_500, "1.5s"),
        (60_000, "1m"),
        (61_001, "1m1.001s"),
        (90_061_000, "1d1h1m1s"),
    ],
)
def test_durations_by_their_units(milliseconds: int, expected: str) -> None:
    assert duration_parts(milliseconds) == expected


@given(st.integers(0, LONGEST_MS))
def test_durations_by_their_units_are_read_back(milliseconds: int) -> None:
    assert duration_ms(duration_parts(milliseconds)) == milliseconds


@given(st.integers(0, LONGEST_MS))
def test_a_written_duration_reads_back(length_ms: int) -> None:
    assert duration_ms(duration_text(length_ms)) == length_ms


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("0", 0),
        ("1468244384", 1_468_244_384_000),
        ("1468244384.5", 1_468_244_384_500),
        (1468244384, 1_468_244_384_000),
        ("2016-07-11T13:39:44Z", 1_468_244_384_000),
        ("2016-07-11T13:39:44", 1_468_244_384_000),
        ("2016-07-11 15:39:44.250+02:00", 1_468_244_384_250),
        ("2016-07-11", 1_468_195_200_000),
    ],
)
def test_moments_are_read(text: object, expected_ms: int) -> None:
    assert moment_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-1", "1969-12-31", "2016-13-01", "999999999999999", "1e9"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a time in ISO 8601"):
        moment_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        (1048576, 1 << 20),
        ("1MiB", 1 << 20),
        ("512 KiB", 1 << 19),
        ("2MB", 2_000_000),
        ("1.5kB", 1_500),
    ],
)
def test_sizes_are_read(text: object, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1XB", "1 M", "KiB", True])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        size_bytes(text)
