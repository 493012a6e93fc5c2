"""Pickles from outside look nothing up, on whichever way they come; others may."""

from __future__ import annotations

import importlib
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from optbench.engine.no_unpickling import UnpicklingRefused, no_unpickling


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def test_inside_a_pickle_looks_nothing_up_in_any_thread(mark: Path) -> None:
    content = pickle.dumps(Evil(mark))
    raised: list[BaseException] = []

    def load() -> None:
        try:
            pickle.loads(content)
        except UnpicklingRefused as error:
            raised.append(error)

    with no_unpickling():
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
        load()
    assert [str(error) for error in raised] == ["a pickle from outside asks for posix.mkdir"] * 2
    assert not mark.exists()


def test_plain_values_and_the_type_of_bytes_may_pass() -> None:
    with no_unpickling():
        for value in (bytes, b"x", {"a": [1, 2.0, None, ("b", True)]}):
            assert pickle.loads(pickle.dumps(value)) == value


def test_afterwards_all_is_as_it_was(mark: Path) -> None:
    with no_unpickling(), no_unpickling():
        pass
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists()


@pytest.mark.parametrize("wrapped", ["ToPickle", "Serialize"])
def test_a_message_of_a_scheduler_is_refused(mark: Path, wrapped: str) -> None:
    """Dask has options against neither: any message may hold a pickle in any place."""
    protocol = pytest.importorskip("distributed.protocol")
    wrap = getattr(importlib.import_module("distributed.protocol.serialize"), wrapped)
    message = protocol.dumps([{"op": "key-in-memory", "key": wrap(Evil(mark))}])
    with no_unpickling(), pytest.raises(UnpicklingRefused):
        protocol.loads(message)
    assert not mark.exists()
    protocol.loads(message)
    assert mark.exists()
