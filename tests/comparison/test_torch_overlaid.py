"""Commits of a checkout of PyTorch's ``torch/optim``, laid over the installed torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Command
from repositories import Repository

pytestmark = pytest.mark.proof

OPTIM = Path(torch.optim.__file__).parent

Edit = tuple[str, str, str]
"""A file of torch/optim, what stands there, and what is put in its place the first time."""

REFACTORED: Edit = (
    "adagrad.py",
    "clr = lr / (1 + (step - 1) * lr_decay)",
    "divisor = 1 + (step - 1) * lr_decay\n        clr = lr / divisor",
)
ROUNDED: Edit = ("sgd.py", "        else:\n            param.add_(grad, alpha=-lr)",
                 "        else:\n            param.sub_(grad * lr)")  # fmt: skip
COUPLED: Edit = (
    "adam.py",
    "param.mul_(1 - lr * weight_decay)",
    "grad = grad.add(param, alpha=weight_decay)",
)
UNCORRECTED: Edit = ("nadam.py", "bias_correction2 = 1 - beta2**step", "bias_correction2 = 1.0")
FOREACH: Edit = (
    "rmsprop.py",
    "torch._foreach_addcdiv_(grouped_params, grouped_grads, avg, value=-lr)",
    "torch._foreach_addcdiv_(grouped_params, grouped_grads, avg, value=-1.01 * lr)",
)
PRIVATE: Edit = (
    "_muon.py",
    "from torch import Tensor",
    "from torch import Tensor\nfrom torch.utils._foreach_utils import _of_next_year",
)
COMMENTED: Edit = ("rprop.py", "from torch import Tensor", "from torch import Tensor  # a comment")
RENAMED: Edit = ("adadelta.py", '"acc_delta"', '"accumulated"')
LATE: Edit = (
    "lr_scheduler.py", "(self.last_epoch % self.step_size != 0)",
    "(self.last_epoch % self.step_size != 1)",
)  # fmt: skip
ADDED: Edit = ("radam.py", "    weight_decay: float = 0,", "    weight_decay: float = 0.01,")

COMMITS: dict[str, Edit] = {
    "Refactor Adagrad": REFACTORED,
    "Subtract the product in SGD": ROUNDED,
    "Couple the decay of Adam and AdamW": COUPLED,
    "Leave out a correction of NAdam": UNCORRECTED,
    "Step further by foreach in RMSprop": FOREACH,
    "Import what this torch has not into Muon": PRIVATE,
    "Comment Rprop": COMMENTED,
    "Rename a buffer of Adadelta": RENAMED,
    "Decay by another number in RAdam": ADDED,
}


def edited(root: Path, edit: Edit, times: int = 1) -> None:
    name, old, new = edit
    file = root / "torch" / "optim" / name
    text = file.read_text("utf-8")
    assert old in text, f"this torch's {name} has no {old!r}"
    file.write_text(text.replace(old, new, times), "utf-8")


@pytest.fixture(scope="module")
def checkout(make_repository: Callable[[], Repository]) -> Repository:
    """As PyTorch's own: a torch that is not compiled, with the optimizers of the real one."""
    repository = make_repository()
    shutil.rmtree(repository.root / "src", ignore_errors=True)
    for each in repository.root.iterdir():
        if each.name != ".git":
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    top = repository.root / "torch"
    shutil.copytree(OPTIM, top / "optim", ignore=shutil.ignore_patterns("__pycache__"))
    (top / "__init__.py").write_text("from torch._C import *  # which is not built\n", "utf-8")
    repository.commit("As installed")
    for subject, edit in COMMITS.items():
        edited(repository.root, edit, 99 if edit == RENAMED else 1)
        repository.commit(subject)
    (top / "optim" / "asgd.py").unlink()
    repository.commit("Delete ASGD")
    edited(repository.root, LATE)
    repository.commit("Decay one step late by StepLR")
    return repository


def test_each_commit_is_judged_by_what_it_did(checkout: Repository, optbench: Command) -> None:
    said = optbench("compare", "HEAD~11", "HEAD", "--rung", "maths", folder=checkout.root)
    assert said.verdicts == {
        "Adagrad": "identical", "SGD": "rounding", "Adam": "changed", "AdamW": "changed",
        "NAdam": "changed", "RMSprop": "changed", "Muon": "broken", "Rprop": "identical",
        "Adadelta": "identical", "RAdam": "changed", "ASGD": "broken",
        "Adafactor": "identical", "Adamax": "identical", "LBFGS": "identical",
        "SparseAdam": "identical", "PolynomialLR": "identical", **SCHEDULERS,
    }  # fmt: skip
    assert "decoupled_weight_decay" in said.of("Adam")["maths_text"]
    assert "foreach=True" in said.of("RMSprop")["maths_text"]
    for name, why in (("Muon", "cannot import name '_of_next_year'"),
                      ("ASGD", "No module named 'torch.optim.asgd'")):  # fmt: skip
        assert (
            f"cannot be laid over the installed torch {torch.__version__}"
            in said.of(name)["maths_text"]
        )
        assert why in said.of(name)["maths_text"]
    assert (
        "a checkpoint of the base raises KeyError: 'accumulated'"
        in said.of("Adadelta")["maths_text"]
    )
    assert said.content["base"]["note"].startswith("its torch.optim over the installed torch")


# Two are made of others, StepLR among them.
SCHEDULERS = {
    name: "changed" if name in ("StepLR", "SequentialLR", "ChainedScheduler") else "identical"
    for name in (
        "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR",
        "ExponentialLR", "CosineAnnealingLR", "ReduceLROnPlateau", "CyclicLR",
        "CosineAnnealingWarmRestarts", "OneCycleLR", "SequentialLR", "ChainedScheduler",
    )
}  # fmt: skip


def test_from_the_root_it_needs_no_option(checkout: Repository, optbench: Command) -> None:
    at = checkout.git("rev-parse", "HEAD")
    try:
        checkout.git("checkout", "--quiet", "HEAD~8")
        said = optbench("compare", "HEAD~1", "--rung", "maths", folder=checkout.root, process=True)
    finally:
        checkout.git("checkout", "--quiet", at)
    accused = {name for name, verdict in said.verdicts.items() if verdict != "identical"}
    assert accused == {"Adam", "AdamW"}
    assert len(said.verdicts) == 15


def test_the_commit_is_found_among_those_that_touch_the_folder(
    checkout: Repository, optbench: Command
) -> None:
    said = optbench("bisect", "HEAD~11", "HEAD", "-o", "torch.optim:NAdam", folder=checkout.root)
    assert "Leave out a correction of NAdam" in said.content["described"]


def test_a_revision_that_torch_cannot_do_without_is_refused(
    checkout: Repository, optbench: Command, tmp_path: Path
) -> None:
    shutil.copytree(checkout.root / "torch", tmp_path / "torch")
    (tmp_path / "torch" / "optim" / "__init__.py").write_text("import nothing_of_it\n", "utf-8")
    asked = ("compare", "HEAD", f"dir:{tmp_path}")
    said = optbench(*asked, folder=checkout.root, json_file=False)
    assert said.code == 2
    assert f"cannot be laid over the installed torch {torch.__version__}" in said.errors
    assert "No module named 'nothing_of_it'" in said.errors


def test_check_takes_the_class_of_the_checkout(checkout: Repository, optbench: Command) -> None:
    asked = ("check", "torch.optim:NAdam", "torch.optim:Adagrad", "--only", "follows_its_oracle")
    said = optbench(*asked, folder=checkout.root)
    status = {row["target"]: row["status"] for row in said.content["results"]}
    assert status == {"torch.optim:NAdam": "failed", "torch.optim:Adagrad": "passed"}
