"""Check and train optimizers of packages that people install: the table of docs/real-packages.md.

`python scripts/real_packages.py FOLDER` takes an hour on two processors; what FOLDER holds already
is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import optbench

PROBLEMS = ("rosenbrock-2d", "quadratic", "mnist-mlp")
SGD, ADAM = "base_optimizer=torch.optim:SGD", "base_optimizer=torch.optim:Adam"


@dataclass(frozen=True)
class Tried:
    """A class, the distribution that holds it, and what optbench has to be told."""

    target: str
    distribution: str
    settings: tuple[str, ...] = ()

    @property
    def told(self) -> list[str]:
        """The settings as options of the command line."""
        return [word for each in self.settings for word in ("--set", each)]


TRIED = (
    Tried("schedulefree:AdamWScheduleFree", "schedulefree"),
    Tried("schedulefree:SGDScheduleFree", "schedulefree"),
    Tried("schedulefree:ScheduleFreeWrapper", "schedulefree", (SGD,)),
    Tried("heavyball:AdamW", "heavyball"),
    Tried("prodigyopt:Prodigy", "prodigyopt"),
    Tried("lion_pytorch:Lion", "lion-pytorch"),
    Tried("optimi:AdamW", "torch-optimi"),
    Tried("adan_pytorch:Adan", "adan-pytorch"),
    Tried("came_pytorch:CAME", "came-pytorch"),
    Tried("dadaptation:DAdaptAdam", "dadaptation"),
    Tried("dadaptation:DAdaptSGD", "dadaptation"),
    Tried("muon:SingleDeviceMuonWithAuxAdam", "muon-optimizer"),
    Tried("muon:SingleDeviceMuon", "muon-optimizer"),
    Tried("sam:SAM", "sam-pytorch", (SGD,)),
    Tried("pytorch_optimizer:SAM", "pytorch_optimizer", (SGD,)),
    Tried("torch_optimizer:Lookahead", "torch-optimizer", (ADAM,)),
    Tried("torch_optimizer:SGDW", "torch-optimizer"),
    Tried("torch_optimizer:RAdam", "torch-optimizer"),
    Tried("adam_mini:Adam_mini", "adam-mini", ("verbose=false",)),
    Tried("sophia_opt:SophiaG", "sophia-opt"),
    Tried("kron_torch:Kron", "kron-torch"),
    Tried("bitsandbytes.optim:Adam8bit", "bitsandbytes"),
    Tried("torchao.optim:AdamW8bit", "torchao"),
    Tried("heavyball:SOAP", "heavyball"),
)


def main() -> None:
    """Do what is missing in the folder, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="targets whose name holds this")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print("| package | named | check: passed, advice, failed, unfinished | "
          + " | ".join(PROBLEMS) + " |\n|---|---|---|---|---|---|")  # fmt: skip
    for each in TRIED:
        if options.only in each.target:
            print(_row(each, options.folder), flush=True)


def _row(tried: Tried, folder: Path) -> str:
    name = tried.target.replace(":", "-")
    checked, store = folder / f"{name}.json", folder / f"{name}.sqlite"
    if not checked.exists():
        _optbench("check", tried.target, *tried.told, "--json", str(checked), "--timeout", "120")
    if not store.exists():
        problems = [word for problem in PROBLEMS for word in ("-p", problem)]
        _optbench("run", "-o", tried.target, *tried.told, *problems, "--tune", "--seeds", "1",
                  "--store", str(store))  # fmt: skip
    counts = Counter(each["status"] for each in json.loads(checked.read_text())["verdicts"])
    verdicts = ", ".join(
        str(counts[status]) for status in ("passed", "advice", "failed", "unfinished")
    )
    named = " ".join([f"`{tried.target}`", *(f"`{each}`" for each in tried.settings)])
    cells = [_best(store, problem) for problem in PROBLEMS]
    label = f"{tried.distribution} {version(tried.distribution)}"
    return f"| {label} | {named} | {verdicts} | {' | '.join(cells)} |"


def _best(store: Path, problem: str) -> str:
    """What the best rate leaves: of the first gap, or of the held-out digits."""
    if not store.exists():
        return "left out"  # nothing could be run
    results = optbench.load(str(store))
    runs = results.runs[results.runs["problem"] == problem]
    if runs.empty:
        return "left out"
    if problem == "mnist-mlp":
        errors = results.traces[results.traces["metric"] == "error_rate"].sort_values("step")
        last = errors.drop_duplicates("run", keep="last").set_index("run")["value"]
        score = runs["run"].map(last)
    else:
        score = runs["final_gap"] / runs["initial_gap"]
    ended = score.where(runs["status"] == "ok", np.inf)
    by_rate = ended.groupby(runs["lr"], dropna=False).mean()
    best = by_rate.idxmin()
    failed = int((runs["status"] == "failed").sum())
    value = f"{100 * by_rate.min():.1f} %" if problem == "mnist-mlp" else f"{by_rate.min():.1e}"
    rate = "" if np.isnan(best) else f" (lr {best:g})"
    return value + rate + (f", {failed} failed" if failed else "")


def _optbench(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "optbench", *words], check=False)


if __name__ == "__main__":
    main()
