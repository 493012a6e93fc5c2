"""The whole command, where its disk, its store or an optimizer lets it down."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import optbench
from faults.campaign import PATIENCE_S, Campaign, assert_as_if_nothing_had_happened

pytestmark = pytest.mark.faults

VILLAINS = """
import ctypes, os, signal, time
import torch

class Villain(torch.optim.SGD):
    def __init__(self, params, lr=0.001):
        super().__init__(params, lr=lr)
        self.turn = 0

    def deed(self):
        raise NotImplementedError

    def step(self, closure=None):
        self.turn += 1
        if self.turn == 40:
            self.deed()
        return super().step(closure)

class Exits(Villain):
    def deed(self):
        os._exit(3)

class Crashes(Villain):
    def deed(self):
        ctypes.string_at(0)

class Hangs(Villain):
    def deed(self):
        time.sleep(1e6)

class Stops(Villain):
    def deed(self):
        os.kill(os.getpid(), signal.SIGSTOP)

class Hoards(Villain):
    def deed(self):
        self.hoard = torch.ones(2**32)

class Killed(Villain):
    def deed(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Prints(Villain):
    def deed(self):
        print("x" * 50_000_000)

class Seeds(Villain):
    def deed(self):
        torch.manual_seed(time.time_ns())
        torch.set_num_threads(7)
        torch.set_default_dtype(torch.float64)
"""

SAID = {
    "Exits": "the process ended with status 3, as by os._exit",
    "Crashes": "the process was ended by SIGSEGV, at ",
    "Hangs": "no end within 10 s",
    "Stops": "no end within 10 s",
    "Hoards": "RuntimeError: ",
    "Killed": "the process was ended by SIGKILL",
}


def test_whatever_an_optimizer_does_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "villains.py").write_text(VILLAINS, "utf-8")
    names = [*SAID, "Prints", "Seeds"]
    asked = [word for name in names for word in ("-o", f"villains:{name}")]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "optbench", "run", *options, "-p", "quadratic"),
                *("--seeds", "2", "--budget", "60", "--jobs", "2", "--timeout", "10"),
                *("--memory", "4G"),
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    done = run(*asked, "-o", "adam", "-o", "sgd", "--store", "disturbed.sqlite")
    assert done.returncode == 1, done.stderr
    assert len(done.stderr) < 10_000
    assert run("-o", "adam", "-o", "sgd", "--store", "quiet.sqlite").returncode == 0
    runs = optbench.load(str(tmp_path / "disturbed.sqlite")).runs.set_index("optimizer")
    assert len(runs) == 2 * (len(names) + 2)
    for name, text in SAID.items():
        one = runs.loc[f"villains:{name}"]
        assert set(one["status"]) == {"failed"}
        assert one["error"].str.contains(text, regex=False).all(), one["error"].tolist()
        assert f"villains:{name} on quadratic" in done.stderr
    quiet = optbench.load(str(tmp_path / "quiet.sqlite")).runs.set_index("optimizer")
    figures = ["seed", "status", "final_gap", "steps_to_target"]
    for name in ("adam", "sgd"):
        assert runs.loc[name, figures].equals(quiet.loc[name, figures])
    assert set(runs.loc[["villains:Prints", "villains:Seeds"], "status"]) == {"ok"}


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="a disk of a few pages takes root and mount",
)
def test_a_disk_that_runs_full_and_is_made_larger(tmp_path: Path, undisturbed: str) -> None:
    (disk := tmp_path / "disk").mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=False
    )
    if mount.returncode:
        pytest.skip("nothing may be mounted here")
    try:
        store = str(disk / "results.sqlite")
        campaign = Campaign(tmp_path, store, ("--jobs", "2"), seed=0)
        with campaign.started() as process:
            assert process.wait(PATIENCE_S) == 2
        assert "Traceback" not in campaign.said[-1]
        assert "full" in campaign.said[-1].splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        kept = len(optbench.load(store).runs) if Path(store).exists() else 0
        campaign.until_it_ends_well()
        assert f"{kept} were in the store" in campaign.said[-1]
        assert_as_if_nothing_had_happened(store, undisturbed)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
