"""What the benchmark of ``ingest`` has found, as tables."""

from typing import Any

from bench.ingest_tables import ingest, overload, store
from bench.render import PLOTS, REPORT

MADE = {"command": "python -m bench.ingest", "made": "2026-11-29T12:00:00+00:00"}
SPEED: dict[str, Any] = {
    "requests_per_second": 12_345,
    "cpu_us_a_request": 49.6,
    "p50_ms": 8.4,
    "p99_ms": 32.1,
    "machine_cores": 1.9,
}
PHASE = {
    "measurements_per_second": 10_000,
    "seconds": 120,
    "sent": 1_200_000,
    "lost": 0,
    "refused": 0,
    "ms": {"p50": 3.0, "p99": 20.0},
    "cores": 0.05,
    "memory_mb": 180,
}


def test_speeds_and_traffic() -> None:
    found = {
        **MADE,
        "bodies_of_100": {**SPEED, "records_per_second": 1_234_500},
        "single_one_worker": {**SPEED, "records_per_second": 12_345},
        "single_bare_uvicorn": SPEED,
        "single_5000_a_second": {"rate": 5_000, "seconds": 10, "ms": {"p50": 2.2, "p99": 9.8}, "cores": 0.4},
        "measurement_store": [PHASE],
    }
    speeds, traffic = ingest(found)
    assert "| 12,345 | 1,234,500 | 50 | 8, 32 | 1.9 |" in speeds.text
    assert "bare uvicorn, without Kafka | 12,345 | - | 50 |" in speeds.text
    assert "Of 5,000 requests a second" in speeds.text
    assert "| 10,000 | 120 | 1,200,000 | 0 | 0 | 3, 20 | 0.05 | 180 |" in traffic.text
    (whole,) = store({**MADE, "measurement_store": [PHASE]})
    assert whole.text.startswith("| measurements/s |")


def test_overload() -> None:
    found = {
        **MADE,
        "requests": 300_000,
        "seconds": 300.1,
        "times_what_was_taken": 36.3,
        "acknowledged": 8_000_000,
        "lost": 0,
        "refused": 292_000,
        "broken": 0,
        "late": 0,
        "memory_mb": {"at_first": 148, "most_of_first_quarter": 173, "most_of_last_quarter": 174},
    }
    (block,) = overload(found)
    assert "| 300 s |" in block.text
    assert "| records that came | 300,000,000 |" in block.text


def test_the_report_has_a_place_for_each() -> None:
    page = REPORT.read_text("utf-8")
    assert {"ingest", "ingest-store", "ingest-overload"} <= PLOTS.keys()
    for name in ("ingest", "ingest-traffic", "ingest-store", "ingest-overload"):
        assert f"<!-- bench:{name} -->" in page
