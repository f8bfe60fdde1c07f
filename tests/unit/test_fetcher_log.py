"""Lines that librdkafka logs: any thread leaves them, the interpreter takes them, and neither waits long."""

import ctypes
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from types import ModuleType
from typing import Any

import pytest
from confluent_kafka import cimpl

from streamagg.sources.kafka.fetching import load_native

LOG_LINES = 256
LEVEL = 6
PATIENCE_S = 10

Log = Callable[[int, bytes, bytes], None]


@pytest.fixture
def native() -> ModuleType:
    module = load_native()
    assert module is not None
    module.take_log()
    return module


@pytest.fixture
def log(native: ModuleType) -> Iterator[Log]:
    """The function that the plugin has given to a configuration for its client's threads to call."""
    plugin, librdkafka = ctypes.CDLL(native.__file__), ctypes.CDLL(cimpl.__file__)
    librdkafka.rd_kafka_conf_new.restype = ctypes.c_void_p
    conf = ctypes.c_void_p(librdkafka.rd_kafka_conf_new())
    error, text = ctypes.create_string_buffer(512), ctypes.create_string_buffer(64)
    assert plugin.conf_init(conf, ctypes.byref(ctypes.c_void_p()), error, ctypes.c_size_t(512)) == 0
    assert librdkafka.rd_kafka_conf_get(conf, b"log_cb", text, ctypes.byref(ctypes.c_size_t(64))) == 0
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
    keep_line: Any = kind(int(text.value, 16))
    yield lambda level, facility, line: keep_line(None, level, facility, line)
    librdkafka.rd_kafka_conf_destroy(conf)


def test_lines_come_in_their_order_and_once(native: ModuleType, log: Log) -> None:
    log(3, b"FAIL", b"the broker is gone")
    log(LEVEL, b"INFO", b"caf\xe9 " + b"x" * 600)
    lines, dropped = native.take_log()
    assert lines == [(3, "FAIL: the broker is gone"), (LEVEL, "INFO: caf\ufffd " + "x" * (512 - 1 - 11))]
    assert dropped == 0
    assert native.take_log() == ([], 0)


def test_of_too_many_lines_the_first_are_kept(native: ModuleType, log: Log) -> None:
    for number in range(LOG_LINES + 3):
        log(LEVEL, b"N", b"%d" % number)
    lines, dropped = native.take_log()
    assert lines == [(LEVEL, f"N: {number}") for number in range(LOG_LINES)]
    assert dropped == 3
    log(LEVEL, b"N", b"again")
    assert native.take_log() == ([(LEVEL, "N: again")], 0)


def test_a_client_logs_while_the_lines_become_objects(native: ModuleType, log: Log) -> None:
    """Making an object may collect garbage, which may wait for a client, which may wait to log.

    Python 3.12 and later collect none before a call is over, and so cannot fail here.
    """
    waited: list[bool] = []

    def wait_for_a_client(phase: str, _: object) -> None:
        if phase == "start" and all(waited):
            logged = clients.submit(log, LEVEL, b"N", b"from a client")
            waited.append(bool(wait([logged], PATIENCE_S).done))

    for _ in range(LOG_LINES):
        log(LEVEL, b"N", b"line")
    thresholds = gc.get_threshold()
    gc.collect()  # Objects kept for later use would be taken before new ones are made.
    with ThreadPoolExecutor(1) as clients:
        gc.callbacks.append(wait_for_a_client)
        gc.set_threshold(10)
        try:
            lines, _ = native.take_log()
        finally:
            gc.set_threshold(*thresholds)
            gc.callbacks.remove(wait_for_a_client)
    assert all(waited)
    assert lines == [(LEVEL, "N: line")] * LOG_LINES
    assert set(native.take_log()[0]) <= {(LEVEL, "N: from a client")}


def test_many_threads_log_while_lines_are_taken(native: ModuleType, log: Log) -> None:
    threads, each = 4, 500

    def log_all(thread: int) -> None:
        for number in range(each):
            log(thread, b"N", b"%d" % number)

    came: list[tuple[int, str]] = []
    lost = 0
    with ThreadPoolExecutor(threads) as clients:
        logging = [clients.submit(log_all, thread) for thread in range(threads)]
        while not all(each.done() for each in logging):
            lines, dropped = native.take_log()
            came += lines
            lost += dropped
    lines, dropped = native.take_log()
    came += lines
    assert len(came) + lost + dropped == threads * each
    for thread in range(threads):
        numbers = [int(text.removeprefix("N: ")) for level, text in came if level == thread]
        assert numbers == sorted(set(numbers))
