"""The profile: samples of perf to microseconds of a record."""

import pytest

from bench.profile import AGGREGATOR, COORDINATOR, HERTZ, UNMARSHALLERS, microseconds, parse, seconds_by_part

REPORT = """
    20.00%|        997|   10:python  |python     |libpython3.11.so.1.0|[.] _PyEval_EvalFrameDefault
    10.00%|        499|   10:python  |rdk:main   |librdkafka.so.1     |[.] rd_kafka_q_pop
    10.00%|       1994|   12:python  |python     |_scanner.abi3.so    |[.] read_key
    10.00%|        997|   12:python  |python     |libc.so.6           |[.] __memmove_avx_unaligned_erms
    10.00%|        997|   12:python  |rdk:broker1|[kernel.kallsyms]   |[k] _copy_to_iter
    10.00%|        997|   12:python  |rdk:broker1|librdkafka.so.1     |[.] rd_crc32c
    10.00%|        997|   13:python  |python     |_umath.so           |[.] sort

not a row
"""


def test_samples_by_process_and_part() -> None:
    found = seconds_by_part(parse(REPORT))
    assert found == {
        (COORDINATOR, "sequencer, leases, publishing: interpreter and numpy"): 1.0,
        (COORDINATOR, "publishing, in librdkafka"): pytest.approx(499 / HERTZ),
        (UNMARSHALLERS, "scanning JSON, hashing users"): 2.0,
        (UNMARSHALLERS, "copying payloads"): 1.0,
        (UNMARSHALLERS, "fetching: kernel, copying from the socket"): 1.0,
        (UNMARSHALLERS, "fetching: CRC"): 1.0,
        (AGGREGATOR, "all of it"): 1.0,
    }


def test_what_starting_costs_is_taken_off() -> None:
    found = {(COORDINATOR, "a"): 3.0, (AGGREGATOR, "b"): 1.0, (UNMARSHALLERS, "c"): 2.0}
    start = {(COORDINATOR, "a"): 1.0, (AGGREGATOR, "b"): 1.5}
    rows = microseconds(found, start, 1_000_000)
    assert [(row["process"], row["us_a_record"]) for row in rows] == [
        (UNMARSHALLERS, pytest.approx(2.0)),
        (COORDINATOR, pytest.approx(2.0)),
        (AGGREGATOR, 0.0),
    ]


def test_nothing_sampled() -> None:
    assert parse("") == []
    assert seconds_by_part([]) == {}
