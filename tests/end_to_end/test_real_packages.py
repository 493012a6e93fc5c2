"""Packages that people install, trained by optbench and by a loop that knows nothing of it."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.engine.compiling import uncompiled
from optbench.engine.lanes import advance, one_thread, start
from optbench.engine.trial import probe_needs
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.problems import PROBLEMS

pytestmark = pytest.mark.proof

STEPS = 100
Made = Callable[[Any, list[nn.Parameter]], Any]


@dataclass(frozen=True)
class Package:
    """A class of a package, how optbench is told of it, and how its README constructs it."""

    target: str
    make: Made
    settings: dict[str, Any] = field(default_factory=dict)
    problem: str = "rosenbrock-2d"
    closure: bool = False
    gradients_first: bool = False
    before_step: Callable[[Any, int], None] | None = None
    dtype: torch.dtype = torch.float64


def over_sgd(name: str, lr: float) -> Made:
    """A wrapper that takes an instance of SGD by this name."""
    return lambda cls, params: cls(params, **{name: torch.optim.SGD(params, lr=lr)})


def named(params: Iterable[nn.Parameter]) -> list[tuple[str, nn.Parameter]]:
    return [(f"p{i}", p) for i, p in enumerate(params)]


def update_hessian(optimizer: Any, step: int) -> None:
    if step % 10 == 0:
        optimizer.update_hessian()


SGD, ADAM = "torch.optim:SGD", "torch.optim:Adam"

PACKAGES = (
    Package("schedulefree:AdamWScheduleFree", lambda c, p: c(p, lr=0.05), {"lr": 0.05}),
    Package("schedulefree:SGDScheduleFree", lambda c, p: c(p, lr=1e-3), {"lr": 1e-3}),
    Package(
        "schedulefree:ScheduleFreeWrapper",
        lambda c, p: c(torch.optim.SGD(p, lr=1e-3)),
        {"base_optimizer": SGD, "lr": 1e-3},
    ),
    Package("heavyball:AdamW", lambda c, p: c(p, lr=0.05), {"lr": 0.05}),
    Package(
        "heavyball:SOAP",
        lambda c, p: c(p, lr=0.02),
        {"lr": 0.02},
        "matrix-completion",
        dtype=torch.float32,  # it takes no other
    ),
    Package("prodigyopt:Prodigy", lambda c, p: c(p)),
    Package("lion_pytorch:Lion", lambda c, p: c(p, lr=0.01), {"lr": 0.01}),
    Package("optimi:AdamW", lambda c, p: c(p, lr=0.05), {"lr": 0.05}),
    Package("adan_pytorch:Adan", lambda c, p: c(p, lr=0.05), {"lr": 0.05}),
    Package("came_pytorch:CAME", lambda c, p: c(p, lr=0.01), {"lr": 0.01}, "matrix-completion"),
    Package("dadaptation:DAdaptAdam", lambda c, p: c(p)),
    Package(
        "muon:SingleDeviceMuonWithAuxAdam",
        lambda c, p: c(
            [
                {"params": [w for w in p if w.ndim >= 2], "use_muon": True, "lr": 0.02},
                {"params": [w for w in p if w.ndim < 2], "use_muon": False, "lr": 3e-4},
            ]
        ),
        {"lr": 0.02},
        "network-2-3-1",
    ),
    Package("muon:SingleDeviceMuon", lambda c, p: c(p, lr=0.02), {}, "matrix-completion"),
    Package("sam:SAM", over_sgd("optim", 1e-3), {"base_optimizer": SGD, "lr": 1e-3}, closure=True),
    Package(
        "pytorch_optimizer:SAM",
        lambda c, p: c(p, torch.optim.SGD, lr=1e-3),
        {"base_optimizer": SGD, "lr": 1e-3},
        closure=True,
        gradients_first=True,
    ),
    Package(
        "torch_optimizer:Lookahead",
        lambda c, p: c(torch.optim.Adam(p, lr=0.05)),
        {"base_optimizer": ADAM, "lr": 0.05},
    ),
    Package("torch_optimizer:SGDW", lambda c, p: c(p, lr=1e-3), {"lr": 1e-3}),
    Package("torch_optimizer:RAdam", lambda c, p: c(p, lr=1e-3), {"lr": 1e-3}),
    Package(
        "adam_mini:Adam_mini",
        lambda c, p: c(named(p), lr=0.05, verbose=False),
        {"lr": 0.05, "verbose": False},
    ),
    Package(
        "sophia_opt:SophiaG",
        lambda c, p: c(p, lr=0.01),
        {"lr": 0.01},
        before_step=update_hessian,
    ),
    Package("bitsandbytes.optim:Adam8bit", lambda c, p: c(p, lr=0.05), {"lr": 0.05}),
    Package("torchao.optim:AdamW8bit", lambda c, p: c(p, lr=0.05), {"lr": 0.05}),
    Package("kron_torch:Kron", lambda c, p: c(p, lr=0.01), {"lr": 0.01}, "matrix-completion"),
)


def class_of(package: Package) -> Any:
    module, _, name = package.target.partition(":")
    # Some print or warn as they are imported.
    with contextlib.redirect_stdout(io.StringIO()):
        found = pytest.importorskip(
            module, reason=f"{module} is not installed: pip install 'optbench[packages]'"
        )
    return getattr(found, name)


def plain_loop(
    package: Package,
    optimizer: Any,
    params: list[nn.Parameter],
    loss_of: Callable[[], Tensor],
) -> float:
    """The loss after `STEPS` gradient evaluations: a training loop as a README has it."""
    modes = hasattr(optimizer, "train") and hasattr(optimizer, "eval")
    evaluations = 0

    def closure() -> Tensor:
        nonlocal evaluations
        evaluations += 1
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    if modes:
        optimizer.train()
    step = 0
    while evaluations < STEPS:
        if package.closure:
            if package.gradients_first:
                closure()
            optimizer.step(closure)
        else:
            closure()
            if package.before_step is not None:
                package.before_step(optimizer, step)
            optimizer.step()
        step += 1
    if modes:
        optimizer.eval()
    return float(loss_of())


def row_of(package: Package) -> tuple[Optimizer, dict[str, Any]]:
    row = OPTIMIZERS[package.target]
    settings = row.settings(package.settings)
    needs = probe_needs(row, settings)
    assert needs is not None, "it took no step on any problem"
    return needs.of(row), settings


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.target)
def test_it_ends_where_a_plain_loop_does(
    package: Package, capfd: pytest.CaptureFixture[str]
) -> None:
    cls = class_of(package)
    row, settings = row_of(package)
    problem = PROBLEMS[package.problem].bind(package.dtype, torch.device("cpu"))
    assert row.needs <= problem.traits
    begin = start(problem, [0], package.dtype, torch.device("cpu"))
    # One lane's parameters by themselves, without the dimension of lanes.
    params = {name: nn.Parameter(value[0].clone()) for name, value in begin.items()}

    def loss_of() -> Tensor:
        return problem.loss({name: p.unsqueeze(0) for name, p in params.items()}, None)[0]

    first = float(loss_of())
    # Another number of threads rounds otherwise.
    with uncompiled(), one_thread():
        # What is drawn is drawn alike.
        torch.manual_seed(0)
        theirs = plain_loop(package, package.make(cls, [*params.values()]), [*params.values()],
                            loss_of)  # fmt: skip
        torch.manual_seed(0)
        ours = advance(row, PROBLEMS[package.problem], [settings], [0], STEPS,
                       dtype=package.dtype)  # fmt: skip
    assert theirs > 1e-8 * first, "so small a loss is rounding"
    assert not ours.unmoved.any()
    assert ours.gaps[-1, 0] + problem.minimum == pytest.approx(theirs, rel=1e-6)


def test_heavyball_is_there_as_its_split_of_two_optimizers() -> None:
    """A row of one's own, as docs/real-packages.md has it."""
    heavyball = importlib.import_module(class_of(Package("heavyball:SplitOpt", over_sgd("", 0))
                                                 ).__module__)  # fmt: skip

    def split(named_parameters: Any, lr: float = 0.02) -> Any:
        params = [p for _, p in named_parameters]
        return heavyball.SplitOpt(
            [
                {
                    "params": [p for p in params if p.ndim == 2],
                    "optimizer": heavyball.Muon,
                    "lr": lr,
                },
                {"params": [p for p in params if p.ndim != 2], "optimizer": heavyball.AdamW},
            ]
        )

    from optbench.optimizers.recipe import adopt

    row = adopt(split, "mine:split")
    with uncompiled():
        done = advance(row, PROBLEMS["network-2-3-1"], [row.settings()], [0], 200)
    assert done.gaps[-1, 0] < 0.1 * done.gaps[0, 0]
