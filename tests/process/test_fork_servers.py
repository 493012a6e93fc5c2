"""Processes forked from a server: as those that begin anew, without their two seconds."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from optbench.process import fork_servers
from optbench.process.worker import CannotBegin, WorkerProcess, in_a_worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are spawned here")

USER = getpass.getuser()


def says(pipe: Any, trail: str, code: str) -> None:
    """Sends the value of an expression, and waits for the end."""
    with in_a_worker(trail):
        pipe.send(eval(code, {"os": os, "sys": sys, "psutil": psutil, "neighbour": neighbour}))
        pipe.poll(None)


def trains(pipe: Any, trail: str) -> None:
    """Two steps of torch's own, with its threads of autograd."""
    import torch

    with in_a_worker(trail):
        weights = torch.nn.Parameter(torch.ones(64, 64))
        optimizer = torch.optim.Adam([weights])
        for _ in range(2):
            optimizer.zero_grad()
            (weights @ weights).square().mean().backward()
            optimizer.step()
        pipe.send(float(weights.detach().sum()))


def neighbour(trail: str) -> int:
    """In a worker: the parent of a process that it begins itself."""
    return int(answer(Path(trail), "os.getppid()"))


def answer(trail: Path, code: str, **options: Any) -> Any:
    worker = WorkerProcess.begin(says, trail, code, **options)
    try:
        assert worker.pipe.poll(60)
        return worker.pipe.recv()
    finally:
        worker.end()


def test_torch_is_there_before_anybody_asks_and_no_thread_is(tmp_path: Path) -> None:
    found = answer(tmp_path / "trail", "'torch' in sys.modules, psutil.Process().ppid()")
    assert found[0]
    server = psutil.Process(found[1])
    assert server.pid != os.getpid()
    assert server.num_threads() == 1


def test_the_environment_is_that_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("ANYBODY_S", value)
        assert answer(tmp_path / "trail", "os.environ['ANYBODY_S']") == value
    monkeypatch.delenv("ANYBODY_S")
    assert not answer(tmp_path / "trail", "'ANYBODY_S' in os.environ")


@pytest.mark.proof
def test_what_is_read_at_the_start_has_a_server_of_its_own(tmp_path: Path) -> None:
    parents = {
        value: answer(tmp_path / "trail", "os.getppid()", environment={"MALLOC_ARENA_MAX": value})
        for value in ("1", "2")
    }
    assert parents["1"] != parents["2"]
    again = answer(tmp_path / "trail", "os.getppid()", environment={"MALLOC_ARENA_MAX": "1"})
    assert again == parents["1"]
    settings = Path(f"/proc/{parents['2']}/environ").read_bytes().split(b"\0")
    assert b"MALLOC_ARENA_MAX=2" in settings
    assert b"OMP_NUM_THREADS=1" in settings


def test_a_worker_s_own_processes_come_from_the_same_server(tmp_path: Path) -> None:
    inner = str(tmp_path / "inner")
    assert answer(tmp_path / "trail", f"neighbour({inner!r}) == os.getppid()")


def test_where_there_is_a_gpu_who_may_use_it_is_spawned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_servers, "GPUS", (Path("/dev/null"),))
    assert answer(tmp_path / "trail", "os.getppid()", may_use_gpu=True) == os.getpid()
    assert answer(tmp_path / "trail", "os.getppid()") != os.getpid()


@pytest.mark.proof
def test_a_server_that_was_killed_has_a_successor(tmp_path: Path) -> None:
    trail = tmp_path / "trail"
    first = answer(trail, "os.getppid()")
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert answer(trail, "os.getppid()") != first


def test_no_worker_can_begin_where_the_server_is_killed_as_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kills_the_server.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("OMP_DISPLAY_ENV", "false")  # a server of its own
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CannotBegin, match="forked from ended"):
        answer(tmp_path / "trail", "1", preload=("kills_the_server",))


def coordinator(trail: Path, temporary: Path, then: str) -> subprocess.CompletedProcess[str]:
    """Another process, which begins a worker, says who is its parent, and does ``then``."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_fork_servers import answer\n"
        f"print(answer(Path({str(trail)!r}), 'os.getppid()'), flush=True)\n{then}"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(temporary)},
    )  # fmt: skip


@pytest.mark.proof
def test_a_folder_too_long_for_a_socket_s_name_is_no_obstacle(tmp_path: Path) -> None:
    temporary = tmp_path / ("t" * 100)
    temporary.mkdir()
    ended = coordinator(tmp_path / "trail", temporary, "print(os.getpid())")
    parent, own = ended.stdout.split()
    assert parent == own


@pytest.mark.proof
def test_a_coordinator_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        temporary = Path(folder)
        ended = coordinator(tmp_path / "trail", temporary, "os.kill(os.getpid(), signal.SIGKILL)")
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        if psutil.pid_exists(server := int(ended.stdout)):
            psutil.Process(server).wait(20)
        # torch's compiler has a folder of its own there.
        assert {each.name for each in temporary.iterdir()} <= {f"torchinductor_{USER}"}


@pytest.mark.proof
def test_a_hundred_forks_train_and_none_hangs(tmp_path: Path) -> None:
    values = set()
    for _ in range(25):
        workers = [WorkerProcess.begin(trains, tmp_path / str(i)) for i in range(4)]
        for worker in workers:
            assert worker.pipe.poll(120), "one hangs"
            values.add(worker.pipe.recv())
            worker.end()
    assert len(values) == 1
