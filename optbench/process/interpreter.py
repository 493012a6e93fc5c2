"""A worker process of another Python, with libraries of its own."""

from __future__ import annotations

import subprocess
from multiprocessing.connection import Connection
from pathlib import Path

import packaging

JUDGE = Path(__file__).parents[1] / "__init__.py"

BOOT = """
import importlib.util, os, sys
from multiprocessing.connection import Connection
init, versions, handle = sys.argv[1:]
def take(name, init):
    spec = importlib.util.spec_from_file_location(
        name, init, submodule_search_locations=[os.path.dirname(init)]
    )
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
# This package alone comes from the judge; what lies beside it, such as its torch, does not.
take("optbench", init)
if importlib.util.find_spec("packaging") is None:
    take("packaging", versions)
from optbench.process import interpreter
from optbench.process.worker import enter_through
interpreter.inside = sys.executable
enter_through(Connection(int(handle)))
"""
"""Program that such a process runs, with the judge's packages and the pipe's handle."""

inside = ""
"""The interpreter of this process, where it is such a one; what it begins runs in it as well."""


class InterpreterProcess:
    """A process of another Python, with what is asked of a `multiprocessing.Process`."""

    def __init__(self, python: str, pipe: Connection) -> None:
        self._process = subprocess.Popen(
            [python, "-c", BOOT, str(JUDGE), str(packaging.__file__), str(pipe.fileno())],
            pass_fds=(pipe.fileno(),), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid

    @property
    def exitcode(self) -> int | None:
        """The exit status; minus the number of the signal that ended it; None while it runs."""
        return self._process.poll()

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.exitcode is None

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()

    def join(self) -> None:
        """Wait for its end."""
        self._process.wait()
