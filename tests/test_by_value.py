"""Objects that no other process can import."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from optbench import by_value
from optbench.optimizers import OPTIMIZERS
from optbench.process.channel import Channel, serve_requests
from optbench.process.worker import WorkerProcess, in_a_worker
from optbench.registry import UnknownName, import_attribute


@pytest.fixture(autouse=True)
def nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept in ("_pickled", "_fingerprints", "_loaded"):
        monkeypatch.setattr(by_value, kept, {})


def descent(factor: float) -> type[torch.optim.Optimizer]:
    class Descent(torch.optim.SGD):
        def __init__(self, params, lr=0.1):
            super().__init__(params, lr=factor * lr)

    return Descent


def test_what_can_be_imported_is_not_sent() -> None:
    assert by_value.path_of(torch.optim.SGD) == "torch.optim.sgd:SGD"
    assert by_value.shared() == {}


def test_a_class_of_a_function_is_found_by_its_path() -> None:
    cls = descent(1.0)
    path = by_value.path_of(cls)
    assert path == f"{__name__}:descent.<locals>.Descent"
    assert import_attribute(path) is cls
    assert OPTIMIZERS[path].factory is cls


def test_a_class_that_is_defined_anew_takes_the_place_of_the_old_one() -> None:
    path = by_value.path_of(descent(1.0))
    before, first = by_value.fingerprint(path), OPTIMIZERS[path].factory
    again = descent(2.0)
    assert by_value.path_of(again) == path
    assert OPTIMIZERS[path].factory is again is not first
    assert by_value.fingerprint(path) != before


def serve(pipe, trail: str) -> None:
    def answer(path, begun):
        parameter = torch.nn.Parameter(torch.zeros(1))
        return import_attribute(path)([parameter]).param_groups[0]["lr"], False

    with in_a_worker(trail):
        serve_requests(pipe, answer)


def test_a_worker_knows_it_with_its_code(tmp_path: Path) -> None:
    path = by_value.path_of(descent(3.0))
    worker = WorkerProcess.begin(serve, tmp_path / "trail")
    try:
        channel = Channel(worker)
        channel.ask(path, 60.0)
        assert channel.answer(lambda sign: None).content == pytest.approx(0.3)
    finally:
        worker.end()


def test_a_class_of_the_main_module_is_always_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    cls = type("Mine", (torch.optim.SGD,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Mine", cls, raising=False)
    assert by_value.path_of(cls) == "__main__:Mine"
    assert [*by_value.shared()] == ["__main__:Mine"]


def test_what_does_not_load_in_a_worker_is_said() -> None:
    by_value.receive({"__main__:Mine": b"no pickle"})
    with pytest.raises(UnknownName, match="cannot load '__main__:Mine': UnpicklingError"):
        import_attribute("__main__:Mine")
