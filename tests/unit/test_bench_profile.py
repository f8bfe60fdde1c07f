"""The profile: samples of perf to microseconds of a record."""

import pytest

from bench.profile import AGGREGATOR, COORDINATOR, HERTZ, UNMARSHALLERS, microseconds, parse, seconds_by_part

SCRIPT = """
          python 10/10      7f1ed1e082bd _PyEval_EvalFrameDefault (/usr/lib/libpython3.11.so.1.0)
        rdk:main 10/11      7f1ed1e082bd rd_kafka_q_pop (/site-packages/librdkafka.so.1)
          python 12/12      7f1ed1e082bd read_key (/streamagg/decode/_scanner.abi3.so)
          python 12/12      7f1ed1e082bd read_key (/streamagg/decode/_scanner.abi3.so)
          python 12/12      7f1ed1e082bd __memmove_avx_unaligned_erms (/usr/lib/libc.so.6)
     rdk:broker1 12/15  ffffffff821f2fa7 _copy_to_iter ([kernel.kallsyms])
     rdk:broker1 12/15      7f1ed1e082bd rd_crc32c (/site-packages/librdkafka.so.1)
          python 13/13      7f1ed1e082bd void sort<long>(long*, int) (/numpy/_umath.so)

not a sample
"""


def test_samples_by_process_and_part() -> None:
    found = seconds_by_part(parse(SCRIPT))
    assert found == {
        (COORDINATOR, "sequencer, leases, publishing: interpreter and numpy"): 1 / HERTZ,
        (COORDINATOR, "publishing, in librdkafka"): 1 / HERTZ,
        (UNMARSHALLERS, "scanning JSON, hashing users"): 2 / HERTZ,
        (UNMARSHALLERS, "copying payloads"): 1 / HERTZ,
        (UNMARSHALLERS, "fetching: kernel, copying from the socket"): 1 / HERTZ,
        (UNMARSHALLERS, "fetching: CRC"): 1 / HERTZ,
        (AGGREGATOR, "all of it"): 1 / HERTZ,
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
