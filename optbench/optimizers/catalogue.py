"""The catalogue: one row an optimizer.

Defaults are those of the factory, written out where the row's method depends on them. Every
learning-rate grid is half-decades and holds at least two decades on each side of what the
literature uses, so that a best rate at the edge of the grid is a finding, not a habit.
"""

from __future__ import annotations

from dataclasses import replace

from torch import optim

from optbench.optimizers import textbook_optimizers as textbooks
from optbench.optimizers import textbook_optimizers_beyond_torch as beyond_torch
from optbench.optimizers.builders import hook_of
from optbench.optimizers.lion import Lion
from optbench.optimizers.muon import MuonWithAdamW
from optbench.optimizers.recipe import Factory, Optimizer, Route, half_decades
from optbench.optimizers.signum import Signum
from optbench.optimizers.swarm import AdamSwarm

SMALL = {"lr": half_decades(1e-5, 1e-1)}
MIDDLE = {"lr": half_decades(1e-4, 1)}
LARGE = {"lr": half_decades(1e-4, 10)}

# fmt: off
BASES = (
    Optimizer("sgd", optim.SGD, {"lr": 1e-3}, LARGE, Route.STACK,
              "Robbins and Monro 1951, A Stochastic Approximation Method"),
    Optimizer("momentum", optim.SGD, {"lr": 1e-3, "momentum": 0.9}, LARGE, Route.STACK,
              "Polyak 1964, Some methods of speeding up the convergence of iteration methods"),
    Optimizer("nesterov", optim.SGD, {"lr": 1e-3, "momentum": 0.9, "nesterov": True}, LARGE,
              Route.STACK, "Nesterov 1983; Sutskever et al. 2013, eq. 3-4"),
    Optimizer("adam", optim.Adam, {"lr": 1e-3}, MIDDLE, Route.STACK,
              "Kingma and Ba 2015, Adam: A Method for Stochastic Optimization, Algorithm 1"),
    Optimizer("adamw", optim.AdamW, {"lr": 1e-3}, MIDDLE, Route.STACK,
              "Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, Algorithm 2"),
    Optimizer("amsgrad", optim.Adam, {"lr": 1e-3, "amsgrad": True}, MIDDLE, Route.STACK,
              "Reddi et al. 2018, On the Convergence of Adam and Beyond, Algorithm 2"),
    Optimizer("nadam", optim.NAdam, {"lr": 2e-3}, MIDDLE, Route.STACK,
              "Dozat 2016, Incorporating Nesterov Momentum into Adam, Algorithm 8"),
    Optimizer("radam", optim.RAdam, {"lr": 1e-3}, MIDDLE, Route.STACK,
              "Liu et al. 2020, On the Variance of the Adaptive Learning Rate, Algorithm 2"),
    Optimizer("adamax", optim.Adamax, {"lr": 2e-3}, MIDDLE, Route.STACK,
              "Kingma and Ba 2015, Adam: A Method for Stochastic Optimization, Algorithm 2"),
    Optimizer("adagrad", optim.Adagrad, {"lr": 1e-2}, LARGE, Route.STACK,
              "Duchi et al. 2011, Adaptive Subgradient Methods, Figure 1 (diagonal)"),
    Optimizer("rmsprop", optim.RMSprop, {"lr": 1e-2}, SMALL, Route.STACK,
              "Tieleman and Hinton 2012, Lecture 6.5, slide 29"),
    Optimizer("rmsprop-centered", optim.RMSprop, {"lr": 1e-2, "centered": True}, SMALL,
              Route.STACK, "Graves 2013, Generating Sequences With Recurrent Networks, eq. 38-45"),
    Optimizer("adadelta", optim.Adadelta, {"lr": 1.0}, {"lr": half_decades(1e-2, 100)},
              Route.STACK, "Zeiler 2012, ADADELTA: An Adaptive Learning Rate Method, Algorithm 1"),
    Optimizer("rprop", optim.Rprop, {"lr": 1e-2}, MIDDLE, Route.STACK,
              "Riedmiller and Braun 1993; Igel and Huesken 2000 (iRprop-)"),
    Optimizer("asgd", optim.ASGD, {"lr": 1e-2}, LARGE, Route.STACK,
              "Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging"),
    Optimizer("adafactor", optim.Adafactor, {"lr": 1e-2}, LARGE, Route.GROUPS,
              "Shazeer and Stern 2018, Adafactor, Algorithms 4 and 5"),
    Optimizer("muon", MuonWithAdamW, {"lr": 1e-3}, MIDDLE, Route.GROUPS,
              "Jordan et al. 2024, Muon; Liu et al. 2025, Muon is Scalable, eq. 4",
              needs=frozenset({"matrices"})),
    Optimizer("lbfgs", optim.LBFGS, {"lr": 1.0, "line_search_fn": "strong_wolfe"},
              {"lr": (0.1, 0.32, 1.0)}, Route.INSTANCE,
              "Liu and Nocedal 1989; Nocedal and Wright 2006, Algorithms 7.4, 3.5 and 3.6",
              closure=True),
    Optimizer("sparseadam", optim.SparseAdam, {"lr": 1e-3}, MIDDLE, Route.STACK,
              "Kingma and Ba 2015, Algorithm 1, on the elements with a gradient",
              needs=frozenset({"sparse"}), sparse_gradients=True),
    Optimizer("lion", Lion, {"lr": 1e-4}, SMALL, Route.STACK,
              "Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, Algorithm 2"),
    Optimizer("signum", Signum, {"lr": 1e-4}, SMALL, Route.STACK,
              "Bernstein et al. 2018, signSGD, Algorithm 2"),
    Optimizer("adam-swarm", AdamSwarm, {"lr": 1e-3}, MIDDLE, Route.INSTANCE,
              "Kennedy and Eberhart 1995 (social term); Noel 2012 (gradient for the cognitive one)",
              closure=True, stochastic=True),
)
# fmt: on

_BASE = {row.name: row for row in BASES}


def _textbook(base: str, factory: Factory, name: str = "") -> Optimizer:
    """Return the row of a reference: its base's, but for the name, the factory and the route."""
    row, name = _BASE[base], f"textbook-{name or base}"
    lr = {"lr": row.defaults["lr"]}
    return replace(row, name=name, base=name, factory=factory, defaults=lr, route=Route.INSTANCE)


# fmt: off
BEYOND_TORCH = (
    Optimizer("textbook-sgdw", beyond_torch.TextbookSGDW, {"lr": 1e-3}, LARGE, Route.INSTANCE,
              "Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, Algorithm 1"),
    Optimizer("textbook-lamb", beyond_torch.TextbookLAMB, {"lr": 1e-3}, MIDDLE, Route.INSTANCE,
              "You et al. 2020, Large Batch Optimization for Deep Learning, Algorithm 2"),
    Optimizer("textbook-adopt", beyond_torch.TextbookADOPT, {"lr": 1e-3}, MIDDLE, Route.INSTANCE,
              "Taniguchi et al. 2024, ADOPT, Algorithm 2"),
    Optimizer("textbook-adan", beyond_torch.TextbookAdan, {"lr": 1e-3}, MIDDLE, Route.INSTANCE,
              "Xie et al. 2022, Adan: Adaptive Nesterov Momentum Algorithm, Algorithm 1"),
    Optimizer("textbook-ademamix", beyond_torch.TextbookAdEMAMix, {"lr": 1e-3}, MIDDLE,
              Route.INSTANCE, "Pagliardini et al. 2024, The AdEMAMix Optimizer, Algorithm 1"),
    Optimizer("textbook-sophia", beyond_torch.TextbookSophia, {"lr": 1e-4}, SMALL, Route.INSTANCE,
              "Liu et al. 2023, Sophia, Algorithms 2 and 3",
              before_step=hook_of(beyond_torch.TextbookSophia)),
    Optimizer("textbook-lookahead", beyond_torch.TextbookLookahead, {"lr": 1e-3}, MIDDLE,
              Route.INSTANCE, "Zhang et al. 2019, Lookahead Optimizer, Algorithm 1"),
    Optimizer("textbook-soap", beyond_torch.TextbookSOAP, {"lr": 3e-3}, MIDDLE, Route.INSTANCE,
              "Vyas et al. 2024, SOAP, Algorithms 3 and 4"),
    Optimizer("textbook-schedule-free-sgd", beyond_torch.TextbookScheduleFreeSGD, {"lr": 1.0},
              LARGE, Route.INSTANCE, "Defazio et al. 2024, The Road Less Scheduled, eq. 3-5"),
    Optimizer("textbook-schedule-free-adamw", beyond_torch.TextbookScheduleFreeAdamW,
              {"lr": 2.5e-3}, MIDDLE, Route.INSTANCE,
              "Defazio et al. 2024, The Road Less Scheduled, Algorithm 1"),
    Optimizer("textbook-prodigy", beyond_torch.TextbookProdigy, {"lr": 1.0},
              {"lr": half_decades(1e-2, 100)}, Route.INSTANCE,
              "Mishchenko and Defazio 2023, Prodigy, Algorithm 4"),
    Optimizer("textbook-sam", beyond_torch.TextbookSAM, {"lr": 1e-3}, LARGE, Route.INSTANCE,
              "Foret et al. 2021, Sharpness-Aware Minimization, eq. 2", closure=True),
)
# fmt: on

TEXTBOOK = (
    _textbook("sgd", textbooks.TextbookSGD),
    _textbook("adam", textbooks.TextbookAdam),
    _textbook("adamw", textbooks.TextbookAdamW),
    _textbook("nadam", textbooks.TextbookNAdam),
    _textbook("radam", textbooks.TextbookRAdam),
    _textbook("adamax", textbooks.TextbookAdamax),
    _textbook("adagrad", textbooks.TextbookAdagrad),
    _textbook("rmsprop", textbooks.TextbookRMSprop),
    _textbook("adadelta", textbooks.TextbookAdadelta),
    _textbook("rprop", textbooks.TextbookRprop),
    _textbook("asgd", textbooks.TextbookASGD),
    _textbook("adafactor", textbooks.TextbookAdafactor),
    replace(_textbook("muon", textbooks.TextbookMuon), needs=frozenset({"only matrices"})),
    _textbook("muon", textbooks.TextbookMuonWithAdamW, "muon-with-adamw"),
    _textbook("sparseadam", textbooks.TextbookSparseAdam),
    _textbook("lion", textbooks.TextbookLion),
    _textbook("signum", textbooks.TextbookSignum),
    _textbook("adam-swarm", textbooks.TextbookAdamSwarm),
    *BEYOND_TORCH,
)
"""NumPy float64 transcriptions of the rules: references to compare with, in no suite."""

FUSED = ("sgd", "momentum", "nesterov", "adam", "adamw", "amsgrad", "adagrad")
"""Bases whose torch class has a fused implementation on every device that optbench runs on."""

NO_FOREACH = ("muon", "lbfgs", "sparseadam", "lion", "signum", "adam-swarm")
"""Bases whose class takes no ``foreach``."""


def catalogue() -> list[Optimizer]:
    """Every row: the bases, their foreach and fused variants, then the transcriptions."""
    return [
        *BASES,
        *(row.variant_of("foreach", foreach=True) for row in BASES if row.name not in NO_FOREACH),
        # A fused kernel rounds the last elements of a tensor, those short of a vector register,
        # otherwise than the rest: in a stack a lane's bits depend on where in it they stand.
        *(
            row.variant_of("fused", route=Route.GROUPS, fused=True)
            for row in BASES
            if row.name in FUSED
        ),
        *TEXTBOOK,
    ]
