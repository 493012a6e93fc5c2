"""Processes forked from one that has imported torch and done nothing with it.

To begin a process anew takes two seconds of a processor, of which torch's import takes nearly all;
a fork of one that has imported it takes some ten milliseconds. The server runs no thread and no
operation of torch, so that nothing it holds can be half done in a fork.

What the C libraries read as a process starts (thread counts, malloc's settings) has to be there
before the server imports them: there is one server for each set of such variables.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import Any

from optbench.process import overlay

READ_AT_START = (
    *("GLIBC_", "GOMP_", "KMP_", "LD_", "MALLOC_", "MKL_", "OMP_", "OPENBLAS_", "PYTHON"),
    overlay.VARIABLE,
)
"""Beginnings of the names of variables that a process reads once, when it starts."""

PASSED_ON = ("PYTHONPATH",)
"""Variables of these that a fork gets in another way."""

GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))
"""Devices of NVIDIA's and AMD's drivers: one is there where CUDA can be used."""

LONGEST_FOLDER = 107 - len("/listener-12345678")
"""Bytes of a folder's path, that the path of a socket in it may have."""

PRELOADED = ("torch._dynamo",)
"""Modules that every optimizer imports when it is first constructed, which takes a second."""


class Inherited(forkserver.ForkServer):
    """The server that a process was forked from, for the processes that it begins itself.

    Python's own begins a new server in each of them, though it says that it does not.
    """

    def __init__(self) -> None:
        super().__init__()
        mine: Any = forkserver._forkserver
        self._forkserver_address = mine._forkserver_address
        self._forkserver_alive_fd = mine._forkserver_alive_fd

    def ensure_running(self) -> None:
        """Do nothing: the server runs as long as one of its processes does."""


_begun_by = os.getppid()

_servers: dict[tuple[tuple[str, str], ...], forkserver.ForkServer] = {}


def context(*, may_use_gpu: bool) -> Any:
    """Return the `multiprocessing` context to begin a process with.

    Forked on Linux, spawned elsewhere: CUDA fails in a fork now and then, other systems' libraries
    start threads when they are loaded, and a long TMPDIR leaves no room for a socket's name.
    """
    forked = sys.platform == "linux" and not (may_use_gpu and any(p.exists() for p in GPUS))
    if forked and len(os.fsencode(util.get_temp_dir())) > LONGEST_FOLDER:
        forked = False
    return multiprocessing.get_context("forkserver" if forked else "spawn")


@contextlib.contextmanager
def of_environment(*modules: str) -> Iterator[None]:
    """Begin processes from a fork server that has this process's current environment.

    A server that is begun for it imports ``modules``; one that is there forks as it is.
    """
    key = _read_at_start(os.environ)
    if key not in _servers:
        _servers[key] = forkserver.ForkServer()
        _servers[key].set_forkserver_preload([overlay.__name__, __name__, *modules, *PRELOADED])
    before = forkserver.connect_to_new_process
    forkserver.connect_to_new_process = _servers[key].connect_to_new_process
    try:
        # It is begun with the first process, and would unblock the signals that are held.
        resource_tracker.ensure_running()
        yield
    finally:
        forkserver.connect_to_new_process = before


def take_over(variables: Mapping[str, str]) -> None:
    """In a fork: have the environment of who asked for it, and that one's server for its own."""
    if forkserver.get_inherited_fds() is None:
        return  # spawned, with its environment
    os.environ.clear()
    os.environ.update(variables)
    _servers.clear()
    _servers[_read_at_start(os.environ)] = Inherited()


@atexit.register
def _leave_nothing() -> None:
    """In a server whose coordinator was killed: remove its socket, and the folder it is in.

    A coordinator that lives needs the folder for the next server, and removes it at its end.
    """
    server: Any = forkserver._forkserver
    is_one = server._forkserver_address is not None and server._forkserver_pid is None
    if is_one and os.getppid() != _begun_by:
        socket = Path(server._forkserver_address)
        with contextlib.suppress(OSError):
            socket.unlink()
            socket.parent.rmdir()


def _read_at_start(variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    names = [n for n in variables if n.startswith(READ_AT_START) and n not in PASSED_ON]
    return tuple((name, variables[name]) for name in sorted(names))
