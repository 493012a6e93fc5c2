"""What once hid a change, or accused somebody of none, each with a module of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command, Said

pytestmark = pytest.mark.proof

HEAD = """
import os

import torch
from torch.optim import Optimizer


class Plain(Optimizer):
    def __init__(self, params, lr=0.01, momentum=0.9, noise=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, noise=noise))

    def rule(self, p, group):
        state = self.state[p]
        buffer = state.setdefault("buffer", torch.zeros_like(p))
        buffer.mul_(self.momentum(group)).add_(p.grad)
        p.add_(buffer, alpha=-group["lr"])

    def momentum(self, group):
        return group["momentum"]

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.rule(p, group)
"""

PATCHES = """

class APatches(Plain):
    def rule(self, p, group):
        torch.Tensor.lerp_ = lambda self, *_, **__: self
        super().rule(p, group)


class Averages(Plain):
    def rule(self, p, group):
        self.state[p].setdefault("average", torch.zeros_like(p)).lerp_(p.grad, WEIGHT)
        p.add_(self.state[p]["average"], alpha=-group["lr"])
"""

GROUPS = """

class FirstGroup(Plain):
    def momentum(self, group):
        return (self.param_groups[0] if HEAD else group)["momentum"]


class MayAverage(Plain):
    def rule(self, p, group):
        super().rule(p, group)
        if group["noise"]:
            self.state[p].setdefault("shadow", p.clone()).lerp_(p, WEIGHT)


class Noisy(Plain):
    def rule(self, p, group):
        super().rule(p, group)
        if group["noise"]:
            p.add_(int.from_bytes(os.urandom(2)) * 1e-3)


class Counts(Plain):
    count = 0

    def rule(self, p, group):
        Counts.count += 1
        p.add_(p.grad, alpha=-group["lr"] / (1 + Counts.count))


class Stops(Plain):
    def rule(self, p, group):
        if (p.grad.abs().max() < 1e-5) or p.grad.is_sparse or p.ndim == 4:
            os._exit(7)
        super().rule(p, group)
        if HEAD and group["momentum"] == 0.95:
            p.mul_(0.5)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, optbench: Command) -> Said:
    """Two folders with a package that exports, and one whose class is in a module of it."""
    folder = tmp_path_factory.mktemp("trees")
    for side, is_head in (("base", False), ("head", True)):
        tree = folder / side
        (tree / "second").mkdir(parents=True)
        constants = f"HEAD = {is_head}\nWEIGHT = {0.2 if is_head else 0.1}\n"
        alias = "\n\nAnother = Plain\n" if is_head else ""
        (tree / "one.py").write_text(constants + HEAD + PATCHES + GROUPS + alias)
        (tree / "second" / "__init__.py").write_text("")
        lr = 0.02 if is_head else 0.01
        (tree / "second" / "inner.py").write_text(HEAD.replace("lr=0.01", f"lr={lr}"))
    return optbench(
        "compare", "dir:base", "dir:head", "--rung", "maths", "--timeout", "20", folder=folder
    )


def test_what_one_optimizer_patches_in_torch_does_not_reach_the_next(said: Said) -> None:
    assert said.of("APatches")["maths"] == "identical"
    assert said.of("Averages")["maths"] == "changed"


def test_a_group_that_goes_by_the_first_one_s_value_is_seen(said: Said) -> None:
    text = said.of("FirstGroup")["maths_text"]
    assert text.endswith("only with two groups, the second with another momentum")


def test_an_average_that_is_off_by_default_is_compared(said: Said) -> None:
    text = said.of("MayAverage")["maths_text"]
    assert text.startswith("differs in the average of the weights in the state, shadow of tensor 0")
    assert text.endswith("with noise=0.1")


def test_a_package_whose_root_exports_nothing_is_looked_into_all_the_same(said: Said) -> None:
    (row,) = [r for r in said.content["optimizers"] if r["name"] == "second.inner:Plain"]
    assert "the default of lr went from 0.01 to 0.02" in row["maths_text"]


def test_a_new_name_does_not_hide_the_old_one(said: Said) -> None:
    (row,) = [r for r in said.content["optimizers"] if r["name"] == "one:Plain"]
    assert row["maths"] == "identical"
    assert said.content["only_in_head"] == ["one:Another"]


def test_who_does_not_repeat_its_steps_accuses_nobody(said: Said) -> None:
    noisy, counts = said.of("Noisy"), said.of("Counts")
    assert noisy["maths"] == "identical"
    assert "does not repeat its own steps with noise" in noisy["maths_text"]
    assert counts["maths"] != "changed"


def test_scenarios_that_were_not_tried_are_not_called_identical(said: Said) -> None:
    row = said.of("Stops")
    assert row["maths"] == "inconclusive"
    assert "scenarios were not tried" in row["maths_text"]


def test_nothing_is_taken_from_another_version_on_the_path(
    tmp_path: Path, optbench: Command, environment: dict[str, str]
) -> None:
    rule = "try:\n    from rule import FACTOR\nexcept ImportError:\n    FACTOR = 1.0\n"
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
        text = HEAD.replace('-group["lr"]', '-FACTOR * group["lr"]')
        (tmp_path / side / "mine.py").write_text(rule + text)
    (tmp_path / "head" / "rule.py").write_text("FACTOR = 2.0\n")
    # As an editable install of the head would have it.
    environment["PYTHONPATH"] = str(tmp_path / "head")
    try:
        said = optbench(
            "compare", "dir:base", "dir:head", "--rung", "maths", folder=tmp_path, process=True
        )
    finally:
        del environment["PYTHONPATH"]
    assert said.verdicts == {"Plain": "changed"}
