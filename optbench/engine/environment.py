"""Where results were made."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from optbench.engine.runs import canonical


@dataclass(frozen=True)
class Environment:
    """The machine, the versions, and the commit of the working folder."""

    cpu: str
    cores: int
    threads: int
    os: str
    python: str
    torch: str
    numpy: str
    optbench: str
    device: str
    commit: str | None
    dirty: bool | None

    @property
    def digest(self) -> str:
        """The same for equal environments."""
        return canonical(asdict(self))


def environment(device: str = "cpu", *, torch_version: str = "") -> Environment:
    """Describe the environment of this process; workers compute on one thread each.

    Of a process that has imported no torch, ``torch_version`` is that of those which compute.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return Environment(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        threads=1,
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch_version or _torch().__version__,
        numpy=np.__version__,
        optbench=version("optbench"),
        device=_device(device),
        commit=commit,
        dirty=None if changes is None else bool(changes),
    )


def _device(device: str) -> str:
    """Return the model of a GPU, which the coordinator of a cluster may not have."""
    if device.startswith("cuda") and _torch().cuda.is_available():
        return str(_torch().cuda.get_device_name(device))
    return device


def _torch() -> Any:
    import torch

    return torch


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """Return git's answer about the working folder; None outside a repository."""
    try:
        answer = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
