"""The pairs that do not fit into memory: the same ones come back, and the disk too."""

import os
import resource
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.engine.pair_store import PairStore
from streamagg.errors import StreamaggError

BLOCKS = st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=12), max_size=12)


def fill(store: PairStore, rows: list[tuple[int, int]]) -> None:
    store.add(np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.uint64))


def found(store: PairStore) -> dict[tuple[int, int], int]:
    pieces = list(store.pieces())
    windows = [window for piece in pieces for window in piece.window.tolist()]
    users = [user for piece in pieces for user in piece.user.tolist()]
    records = [number for piece in pieces for number in piece.records.tolist()]
    assert list(zip(windows, users, strict=True)) == sorted(set(zip(windows, users, strict=True)))
    return dict(zip(zip(windows, users, strict=True), records, strict=True))


@given(BLOCKS, st.integers(1, 40))
def test_everything_comes_back_once(blocks: list[list[tuple[int, int]]], most: int) -> None:
    store = PairStore(most)
    for block in blocks:
        fill(store, block)
    assert found(store) == Counter(row for block in blocks for row in block)
    store.close()


def test_a_user_that_comes_again_needs_no_disk() -> None:
    store = PairStore(100)
    for _ in range(1_000):
        fill(store, [(user % 3, user) for user in range(90)])
    assert store._file is None
    assert set(found(store).values()) == {1_000}
    store.close()


def test_nothing_is_left_in_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = PairStore(10)
    fill(store, [(0, user) for user in range(100)])
    assert store._file is not None
    assert os.fstat(store._file.fileno()).st_size > 0
    assert list(tmp_path.iterdir()) == []
    store.close()


def test_a_full_disk_is_one_sentence() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = PairStore(1_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StreamaggError, match=r"cannot be written: File too large\. Make room, or name"):
            fill(store, [(0, user) for user in range(2_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        store.close()


def test_no_directory_for_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    store = PairStore(10)
    with pytest.raises(StreamaggError, match=r"cannot be written: No such file or directory\. Make room"):
        fill(store, [(0, user) for user in range(100)])
    store.close()
