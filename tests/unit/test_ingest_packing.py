"""Compressed bodies, right ones, broken ones, and bombs."""

import gzip
import tracemalloc

import pytest
import zstandard

from streamagg.ingest.packing import ENCODINGS, MOST_WINDOW_BYTES, TooLarge, Unpackable, unpack

MOST = 1 << 20
PACK = {b"gzip": gzip.compress, b"x-gzip": gzip.compress, b"zstd": zstandard.ZstdCompressor().compress}


def test_each_encoding_is_tried() -> None:
    assert ENCODINGS.keys() == PACK.keys()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("body", [b"", b"{}\n", bytes(range(256)) * 400])
def test_what_was_packed_comes_out(encoding: bytes, body: bytes) -> None:
    packed = PACK[encoding](body)
    assert unpack(packed, encoding, MOST) == body
    assert unpack(packed + packed, encoding, MOST) == body + body


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_cut_short_or_something_else_is_refused(encoding: bytes) -> None:
    packed = PACK[encoding](bytes(range(256)) * 40)
    for wrong in (packed[:-1], packed[: len(packed) // 2], b"{}", packed + b"x"):
        with pytest.raises(Unpackable):
            unpack(wrong, encoding, MOST)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_does_not_go_off(encoding: bytes) -> None:
    packed = PACK[encoding](bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            unpack(packed, encoding, MOST)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_the_limit_is_what_is_allowed() -> None:
    assert len(unpack(gzip.compress(bytes(MOST)), b"gzip", MOST)) == MOST
    with pytest.raises(TooLarge):
        unpack(gzip.compress(bytes(MOST + 1)), b"gzip", MOST)


def test_nobody_may_ask_for_more_memory_than_receivers_must_have() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24, enable_ldm=True)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=-1)
    assert MOST_WINDOW_BYTES < 1 << 24
    body = bytes(range(256)) * 65_536 * 2
    with pytest.raises(Unpackable, match="memory"):
        unpack(packed.compress(body) + packed.flush(), b"zstd", 64 << 20)
