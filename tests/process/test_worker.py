"""Worker processes: what each finds when it begins, and what is said of one that cannot."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from multiprocessing import spawn
from pathlib import Path
from typing import Any

import pytest

from optbench.process.worker import CannotBegin, WorkerProcess, in_a_worker, main_left_out


def serve(pipe: Any, trail: str, code: str) -> None:
    """Runs code as that of an optimizer, or before it could be."""
    if code.startswith("early "):
        exec(code.removeprefix("early "))
    with in_a_worker(trail):
        exec(code, {"pipe": pipe})


def ended(folder: Path, code: object) -> str:
    worker = WorkerProcess.begin(serve, folder / "trail", code)
    try:
        with pytest.raises(EOFError):
            worker.pipe.recv()
        return worker.how_it_ended()
    finally:
        worker.end()


def test_one_that_raises_before_anybodys_code_cannot_begin(tmp_path: Path) -> None:
    with pytest.raises(CannotBegin) as caught:
        ended(tmp_path, "early import no_such_package")
    first, *lines = str(caught.value).splitlines()
    assert first == "no worker process can begin here: the process ended with status 1:"
    assert lines[-1] == "  ModuleNotFoundError: No module named 'no_such_package'"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("early import os; os._exit(0)", "ended with status 0"),
        ("early import os; os._exit(7)", "ended with status 7"),
        ("early import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
    ],
)
def test_one_that_says_nothing_cannot_begin_either(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(CannotBegin) as caught:
        ended(tmp_path, code)
    assert str(caught.value) == f"no worker process can begin here: the process {words}"


def test_a_module_that_does_not_import_is_no_beginning(tmp_path: Path) -> None:
    def gone(pipe: Any, trail: str) -> None: ...

    gone.__module__, gone.__qualname__ = "optbench.engine.no_such_module", "serve"
    worker = WorkerProcess.begin(gone, tmp_path / "trail")
    with pytest.raises(EOFError):
        worker.pipe.recv()
    with pytest.raises(CannotBegin, match=r"No module named 'optbench\.engine\.no"):
        worker.how_it_ended()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_one_that_is_killed_as_it_begins_is_no_fault_of_the_installation(
    tmp_path: Path, name: str
) -> None:
    code = f"early import os, signal; os.kill(os.getpid(), signal.{name})"
    assert ended(tmp_path, code) == f"the process was ended by {name}"


def test_what_anybodys_code_does_is_no_fault_of_the_installation(tmp_path: Path) -> None:
    assert ended(tmp_path, "import os; os._exit(3)") == (
        "the process ended with status 3, as by os._exit"
    )


class EndsOnArrival:
    """An argument of a process, which it never lives to have."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (5,)


def test_one_that_ends_before_it_can_say_anything_cannot_begin(tmp_path: Path) -> None:
    # The last words of the process before it are not its own.
    (tmp_path / "trail").touch()
    with pytest.raises(CannotBegin, match=r"ended with status 5$"):
        ended(tmp_path, EndsOnArrival())


def test_it_does_not_import_the_main_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = tmp_path / "main.py"
    main.write_text("raise SystemExit('imported')")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(main), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    worker = WorkerProcess.begin(serve, tmp_path / "trail", "pipe.send('begun')")
    try:
        assert worker.pipe.recv() == "begun"
    finally:
        worker.end()
    # Whoever begins processes of his own has them as they always are.
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    assert process.exitcode == 1


def test_only_the_thread_that_asks_leaves_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/main.py", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    found: list[dict[str, Any]] = []
    other = threading.Thread(target=lambda: found.append(spawn.get_preparation_data("other")))
    with main_left_out():
        assert "init_main_from_path" not in spawn.get_preparation_data("ours")
        other.start()
        other.join()
    assert found[0]["init_main_from_path"] == "/main.py"
    assert spawn.get_preparation_data("ours")["init_main_from_path"] == "/main.py"
