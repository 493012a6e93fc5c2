"""The NumPy rules: torch's to the last bits, the paper's where torch departs, and by hand."""

from __future__ import annotations

import copy
import functools
import inspect
import io
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import optim

from optbench.optimizers import OPTIMIZERS, textbook, textbook_matrix, textbook_swarm
from optbench.optimizers import textbook_optimizers as optimizers
from optbench.optimizers.lion import Lion
from optbench.optimizers.muon import MuonWithAdamW
from optbench.optimizers.signum import Signum
from optbench.optimizers.swarm import AdamSwarm
from optbench.optimizers.textbook import Array, Memory
from optbench.optimizers.textbook_optimizers import ORACLES, TextbookOptimizer

Rule = Callable[..., Array]
Settings = dict[str, Any]

SHAPES = ((6, 5), (3, 7), (4,))
MATRICES = SHAPES[:2]
STEPS = 210
ROUNDING = 1e-12
"""Parameters are of size 1; the measured floors are 1e-16 to 4e-14."""

DECAY = {"weight_decay": 0.1}
DECOUPLED = {"weight_decay": 0.1, "decoupled_weight_decay": True}
UP = {"maximize": True}
BETAS = {"betas": (0.8, 0.95)}
EPS = {"eps": 1e-3}

CASES: list[tuple[type[optim.Optimizer], Rule, Settings, list[Settings]]] = [
    (
        *(optim.SGD, textbook.sgd, {"lr": 0.1}),
        [
            *({}, DECAY, UP, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3}),
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "nesterov": True, **DECAY, **UP},
        ],
    ),
    (
        *(optim.Adam, textbook.adam, {"lr": 0.01}),
        [
            *({}, BETAS, EPS, DECAY, DECOUPLED, UP, {"amsgrad": True}),
            {"amsgrad": True, **DECAY, **UP},
        ],
    ),
    (
        *(optim.AdamW, textbook.adamw, {"lr": 0.01}),
        [{}, BETAS, EPS, DECAY, {"weight_decay": 0.0}, UP, {"amsgrad": True}],
    ),
    (
        *(optim.NAdam, textbook.nadam, {"lr": 0.01}),
        [{}, BETAS, EPS, DECAY, DECOUPLED, UP, {"momentum_decay": 0.1}],
    ),
    (
        *(optim.RAdam, textbook.radam, {"lr": 0.01}),
        [{}, BETAS, EPS, DECAY, DECOUPLED, UP, {"betas": (0.9, 0.5)}],
    ),
    (optim.Adamax, textbook.adamax, {"lr": 0.01}, [{}, BETAS, EPS, DECAY, UP]),
    (
        *(optim.Adagrad, textbook.adagrad, {"lr": 0.1}),
        [{}, EPS, DECAY, UP, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.1}],
    ),
    (
        *(optim.RMSprop, textbook.rmsprop, {"lr": 0.01}),
        [
            *({}, EPS, DECAY, UP, {"alpha": 0.9}, {"momentum": 0.9}, {"centered": True}),
            {"centered": True, "momentum": 0.9, **DECAY, **UP},
        ],
    ),
    (optim.Adadelta, textbook.adadelta, {}, [{}, EPS, DECAY, UP, {"lr": 0.3}, {"rho": 0.99}]),
    (
        *(optim.Rprop, textbook.rprop, {}),
        [{}, UP, {"etas": (0.3, 1.5)}, {"step_sizes": (1e-3, 0.02)}, {"lr": 1e-7}],
    ),
    (
        *(optim.ASGD, textbook.asgd, {"lr": 0.1}),
        [{}, DECAY, UP, {"lambd": 0.1}, {"lambd": 0.1, "alpha": 0.5}, {"t0": 20}],
    ),
    (
        *(optim.Adafactor, textbook_matrix.adafactor, {}),
        [
            *({}, DECAY, UP, {"lr": 0.3}, {"d": 2.0}, {"beta2_decay": -0.5}),
            *({"eps": (1e-3, 1e-3)}, {"eps": (None, 2.0)}, {"eps": (1e-3, 2.0), "lr": 0.3}),
        ],
    ),
    (
        *(optim.SparseAdam, textbook.sparseadam, {"lr": 0.01}),
        [{}, BETAS, EPS, UP],
    ),
    (Lion, textbook.lion, {"lr": 0.01}, [{}, BETAS, DECAY, UP]),
    (Signum, textbook.signum, {"lr": 0.01}, [{}, {"momentum": 0.5}, {"momentum": 0}, DECAY, UP]),
]
EACH = [
    pytest.param(made, rule, {**base, **extra}, id=f"{made.__name__}-{extra}")
    for made, rule, base, extras in CASES
    for extra in extras
]
BASE = [pytest.param(made, rule, base, id=made.__name__) for made, rule, base, _ in CASES]
FLOAT32_SCALARS = (optim.NAdam, optim.ASGD)
"""Whose scalars of state (the product of the mu_t; the rate) torch holds in float32."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors of 30 elements gain nothing by threads; beside other work they lose 300-fold."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def float64_scalars() -> Iterator[None]:
    """torch keeps scalar state in the default dtype, if that is float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def start(shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape) for shape in shapes]


@functools.cache
def course(
    shapes: Sequence[tuple[int, ...]] = SHAPES, steps: int = STEPS, decades: float = 8
) -> list[list[Array]]:
    """Gradients that depend on the step alone, and shrink; a tenth of them is a million smaller.

    One element is without gradient in the first third.
    """
    rng = np.random.default_rng(2)
    made = []
    for step in range(steps):
        scale = 10 ** (-decades * step / steps)
        made.append([scale * rng.standard_normal(shape) for shape in shapes])
        for gradient in made[-1]:
            gradient *= np.where(rng.random(gradient.shape) < 0.1, 1e-6, 1.0)
            gradient.flat[1] *= step >= steps // 3
    return made


def plain(shapes: Sequence[tuple[int, ...]] = SHAPES, steps: int = STEPS) -> list[list[Array]]:
    """Gradients of size 1, none of them zero: where the paper's rule is defined."""
    rng = np.random.default_rng(3)
    return [[rng.standard_normal(shape) for shape in shapes] for _ in range(steps)]


def by_rule(
    rule: Rule,
    gradients: list[list[Array]],
    points: list[Array],
    settings: Settings,
    rate_after: Callable[[int], float] | None = None,
    memories: list[Memory] | None = None,
) -> list[Array]:
    memories = [Memory() for _ in points] if memories is None else memories
    for step, given in enumerate(gradients):
        if rate_after:
            settings = {**settings, "lr": rate_after(step)}
        points = [
            rule(x, g, s, **touched(rule, g), **settings)
            for x, g, s in zip(points, given, memories, strict=True)
        ]
    return points


def touched(rule: Rule, gradient: Array) -> dict[str, Any]:
    return {"touched": gradient > -0.3} if rule is textbook.sparseadam else {}


def by_torch(
    made: type[optim.Optimizer],
    gradients: list[list[Array]],
    points: list[Array],
    settings: Settings,
    rate_after: Callable[[int], float] | None = None,
    dtype: torch.dtype = torch.float64,
) -> tuple[list[Array], optim.Optimizer]:
    parameters = [torch.nn.Parameter(torch.from_numpy(x.copy()).to(dtype)) for x in points]
    optimizer = made(parameters, **settings)
    for step, given in enumerate(gradients):
        if rate_after:
            optimizer.param_groups[0]["lr"] = rate_after(step)
        for parameter, gradient in zip(parameters, given, strict=True):
            handed = torch.from_numpy(gradient.copy()).to(dtype)
            parameter.grad = only(handed, handed > -0.3) if made is optim.SparseAdam else handed
        optimizer.step()
    return [p.detach().to(torch.float64).numpy() for p in parameters], optimizer


def only(dense: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.sparse_coo_tensor(
        mask.nonzero().T, dense[mask], dense.shape, check_invariants=True
    )


def distance(ours: list[Array], theirs: list[Array]) -> float:
    return max(float(np.max(abs(a - b))) for a, b in zip(ours, theirs, strict=True))


# ---------------------------------------------------------------- torch's convention


@pytest.mark.usefixtures("float64_scalars")
@pytest.mark.parametrize(("made", "rule", "settings"), EACH)
def test_a_rule_follows_torch_in_float64(
    made: type[optim.Optimizer], rule: Rule, settings: Settings
) -> None:
    ours = by_rule(rule, course(), start(), settings)
    theirs, _ = by_torch(made, course(), start(), settings)
    assert distance(theirs, start()) > 1e-5, "it went somewhere"
    assert distance(ours, theirs) < ROUNDING


@pytest.mark.usefixtures("float64_scalars")
@pytest.mark.parametrize(("made", "rule", "settings"), BASE)
def test_a_rule_follows_torch_when_the_rate_changes(
    made: type[optim.Optimizer], rule: Rule, settings: Settings
) -> None:
    def rate(step: int) -> float:
        return 0.01 * (1.0, 0.3, 2.0)[step // 20 % 3]

    settings = {**settings, "momentum": 0.9} if rule in WITH_MOMENTUM else settings
    ours = by_rule(rule, course()[:80], start(), settings, rate)
    theirs, _ = by_torch(made, course()[:80], start(), settings, rate)
    assert distance(ours, theirs) < ROUNDING


WITH_MOMENTUM = (textbook.sgd, textbook.rmsprop)


@pytest.mark.parametrize("made", FLOAT32_SCALARS)
def test_torch_keeps_some_scalars_in_float32_and_the_rule_does_not(
    made: type[optim.Optimizer],
) -> None:
    """Without it the floor of these two would be that of the others."""
    rule = {optim.NAdam: textbook.nadam, optim.ASGD: textbook.asgd}[made]
    settings = {"lr": 0.1}
    ours = by_rule(rule, course(), start(), settings)
    theirs, _ = by_torch(made, course(), start(), settings)
    assert 1e-11 < distance(ours, theirs) < 1e-7


@pytest.mark.parametrize(("made", "rule", "settings"), BASE)
def test_float32_torch_stays_near_the_float64_rule(
    made: type[optim.Optimizer], rule: Rule, settings: Settings
) -> None:
    """Along gradients that float32 can hold the sum of."""
    if rule is textbook_matrix.adafactor:
        settings = {**settings, "eps": (float(np.finfo(np.float32).eps), 1e-3)}
    gradients = plain()
    theirs, _ = by_torch(made, gradients, start(), settings, dtype=torch.float32)
    assert distance(by_rule(rule, gradients, start(), settings), theirs) < 1e-4


@pytest.mark.usefixtures("float64_scalars")
@pytest.mark.parametrize("t0", [1e6, 20])
def test_the_average_of_asgd_is_torchs(t0: float) -> None:
    settings = {"lr": 0.1, "lambd": 0.1, "t0": t0}
    memories = [Memory() for _ in SHAPES]
    by_rule(textbook.asgd, course(), start(), settings, memories=memories)
    _, optimizer = by_torch(optim.ASGD, course(), start(), settings)
    theirs = [state["ax"].numpy() for state in optimizer.state.values()]
    assert distance([s.ax for s in memories], theirs) < ROUNDING


@pytest.mark.parametrize("shape", [(), (3, 4, 5), (1, 1), (1, 6), (6, 1)])
def test_adafactor_follows_torch_on_every_number_of_dimensions(shape: tuple[int, ...]) -> None:
    settings = {"lr": 0.1, **DECAY}
    gradients = plain((shape,), 50)
    ours = by_rule(textbook_matrix.adafactor, gradients, start((shape,)), settings)
    theirs, _ = by_torch(optim.Adafactor, gradients, start((shape,)), settings)
    assert distance(ours, theirs) < ROUNDING


def test_a_gradient_that_shares_no_element_moves_sparse_adam_nowhere() -> None:
    x, s = np.ones((3, 2)), Memory()
    mask = np.zeros(x.shape, dtype=bool)
    assert np.array_equal(textbook.sparseadam(x, x, s, mask, lr=0.1), x)
    mask[1] = True
    moved = textbook.sparseadam(x, x, s, mask, lr=0.1)
    assert np.array_equal(moved[[0, 2]], x[[0, 2]])
    # The tensor's second step, though these elements' first.
    m, v = 0.1 / (1 - 0.9**2), 0.001 / (1 - 0.999**2)
    assert moved[1] == pytest.approx(1 - 0.1 * m / math.sqrt(v), rel=1e-6)


# ---------------------------------------------------------------- Muon, which is bfloat16 inside

MUON = [
    {},
    {"nesterov": False},
    {"momentum": 0.5},
    {"weight_decay": 0.0},
    {"adjust_lr_fn": "original"},
    {"adjust_lr_fn": "match_rms_adamw"},
    {"ns_steps": 3},
    {"ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 12},
    {"eps": 0.5},
]
LAST_BIT = 2.0**-6
"""A few last bits of a bfloat16 near 1: what one rounding that fell otherwise becomes."""


@pytest.mark.parametrize("settings", MUON, ids=str)
@pytest.mark.parametrize("shape", [(6, 5), (3, 7), (4, 4)])
def test_muon_follows_torch_in_nearly_every_single_step(
    shape: tuple[int, int], settings: Settings
) -> None:
    """To 1e-13: the bfloat16 rounding is emulated. The rest differs by a bfloat16's last bit."""
    lr, missed = 0.01, 0
    (x,) = start((shape,))
    for (gradient,) in plain((shape,), 20):
        ours = textbook_matrix.muon(x, gradient, Memory(), lr=lr, **settings)
        (theirs,), _ = by_torch(optim.Muon, [[gradient]], [x], {"lr": lr, **settings})
        factor = textbook_matrix.rate_factor(settings.get("adjust_lr_fn"), *shape)
        assert np.max(abs(ours - theirs)) < lr * factor * LAST_BIT * 2
        missed += bool(np.max(abs(ours - theirs)) > 1e-13)
    assert missed <= 2


@pytest.mark.parametrize("settings", MUON, ids=str)
def test_muon_follows_torch(settings: Settings) -> None:
    settings = {"lr": 0.01, **settings}
    ours = by_rule(textbook_matrix.muon, course(MATRICES), start(MATRICES), settings)
    theirs, _ = by_torch(optim.Muon, course(MATRICES), start(MATRICES), settings)
    assert distance(theirs, start(MATRICES)) > 0.1
    assert distance(ours, theirs) < 3e-4


def test_muon_does_not_move_where_there_is_no_gradient() -> None:
    x = np.ones((3, 2))
    for convention in textbook.CONVENTIONS:
        moved = textbook_matrix.muon(x, 0 * x, Memory(), weight_decay=0.0, convention=convention)
        assert np.array_equal(moved, x)


@pytest.mark.parametrize("settings", [{}, DECAY, BETAS, EPS, {"nesterov": False}], ids=str)
def test_muon_with_adamw_follows_ours(settings: Settings) -> None:
    settings = {"lr": 0.01, **settings}
    ours = by_rule(textbook_matrix.muon_with_adamw, course(), start(), settings)
    theirs, _ = by_torch(MuonWithAdamW, course(), start(), settings)
    assert distance(ours, theirs) < 3e-4
    assert distance(ours[2:], theirs[2:]) < ROUNDING, "the vector, which is AdamW's"


def test_bfloat16_is_rounded_as_torch_rounds_it() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(10_000) * 10.0 ** rng.integers(-30, 30, 10_000)
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 0.0, -0.0, 3.4e38, 1e300])
    special = np.array([np.inf, -np.inf, np.nan])
    for array in (values, ties, special):
        with np.errstate(over="ignore"):
            ours = textbook_matrix._bfloat16(array)
        theirs = torch.from_numpy(array).bfloat16().double().numpy()
        assert np.array_equal(ours, theirs, equal_nan=True)


# ---------------------------------------------------------------- the paper's convention

# Rule, settings, and between what the two conventions differ, for parameters that travel about 1.
DEPARTURES: list[tuple[Rule, Settings, float, float]] = [
    (textbook.sgd, {"lr": 0.1}, 0, 0),
    (textbook.sgd, {"lr": 0.1, "momentum": 0.9}, 0, ROUNDING),
    (textbook.sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, 0, ROUNDING),
    (textbook.sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, 0.5, 5),
    (textbook.adam, {"lr": 0.01}, 0, 0),
    (textbook.adam, {"lr": 0.01, "amsgrad": True}, 0.5, 5),
    (textbook.adamw, {"lr": 0.01, "weight_decay": 0.0}, 0, 0),
    (textbook.adamw, {"lr": 0.01}, 0.8, 8),
    (textbook.nadam, {"lr": 0.01}, 8e-3, 8e-2),
    (textbook.radam, {"lr": 0.01}, 4e-3, 4e-2),
    (textbook.adamax, {"lr": 0.01}, 2e-9, 2e-8),
    (textbook.rmsprop, {"lr": 0.01}, 1e-7, 1e-6),
    (textbook.rmsprop, {"lr": 0.01, "centered": True}, 3e-5, 3e-4),
    (textbook.rprop, {}, 1e-2, 1e-1),
    (textbook.asgd, {"lr": 0.1, "lambd": 0.1}, 0, 1e-15),
    (textbook_matrix.adafactor, {}, 0, 1e-15),
    (textbook_matrix.adafactor, {"eps": (1e-2, 1e-3)}, 5e-4, 5e-3),
    (textbook_matrix.muon, {"lr": 0.01}, 2e-2, 2e-1),
    (textbook_matrix.muon_with_adamw, {"lr": 0.01, "weight_decay": 0.0}, 8e-3, 8e-2),
    (textbook.sparseadam, {"lr": 0.01}, 7e-8, 7e-7),
]


@pytest.mark.parametrize(
    ("rule", "settings", "least", "most"),
    DEPARTURES,
    ids=[f"{rule.__name__}-{settings}" for rule, settings, *_ in DEPARTURES],
)
def test_the_conventions_differ_by_as_much_as_is_said(
    rule: Rule, settings: Settings, least: float, most: float
) -> None:
    shapes = MATRICES if rule is textbook_matrix.muon else SHAPES
    torchs, papers = (
        by_rule(rule, plain(shapes), start(shapes), {**settings, "convention": convention})
        for convention in textbook.CONVENTIONS
    )
    assert least <= distance(torchs, papers) <= most


def test_the_adamw_of_the_paper_decays_whatever_the_rate() -> None:
    """Its lambda is torch's rate times weight_decay; the order of the two changes rounding only."""
    ours = by_rule(
        *(textbook.adamw, plain(), start()),
        {"lr": 0.01, "weight_decay": 0.01 * 0.1, "convention": "paper"},
    )
    theirs, _ = by_torch(optim.AdamW, plain(), start(), {"lr": 0.01, "weight_decay": 0.1})
    assert distance(ours, theirs) < ROUNDING


@pytest.mark.parametrize("rule", [textbook.sgd, textbook.rmsprop])
def test_the_papers_momentum_keeps_the_rate_it_was_made_with(rule: Rule) -> None:
    """After the rate falls to 0 the paper's still rolls: by mu v."""
    for convention, expected in (("torch", 0.0), ("paper", 0.5)):
        s, x = Memory(), np.ones(1)
        first = rule(x, x, s, lr=0.1, momentum=0.5, convention=convention)
        second = rule(first, x, s, lr=0.0, momentum=0.5, convention=convention)
        assert (second - first) / (first - x) == pytest.approx(expected)


def test_the_papers_nesterov_takes_its_gradient_at_the_look_ahead_point() -> None:
    """Sutskever et al. 2013, eq. 3-4, on a quadratic, with a rate that changes."""
    curvature = np.array([1.0, 10.0, 0.1])
    theta, v, mu = np.array([1.0, -2.0, 3.0]), np.zeros(3), 0.9
    x, s = theta.copy(), Memory()
    for step in range(100):
        lr = 0.05 / (1 + step / 10)
        x = textbook.sgd(
            *(x, curvature * x, s), lr=lr, momentum=mu, nesterov=True, convention="paper"
        )
        v = mu * v - lr * curvature * (theta + mu * v)
        theta = theta + v
        assert np.max(abs(x - (theta + mu * v))) < 1e-13


def test_radam_parts_from_the_paper_at_step_5_alone() -> None:
    gradients = plain((SHAPES[0],), 6)
    at = {
        (convention, steps): by_rule(
            *(textbook.radam, gradients[:steps], start(SHAPES[:1])),
            {"lr": 0.01, "eps": 0.0, "convention": convention},
        )
        for convention in textbook.CONVENTIONS
        for steps in (4, 5, 6)
    }
    assert distance(at["torch", 4], at["paper", 4]) == 0
    moved_5, moved_6 = ([at["torch", steps][0] - at["paper", steps][0]] for steps in (5, 6))
    assert distance(moved_5, [np.zeros((6, 5))]) > 1e-3
    assert distance(moved_5, moved_6) < 1e-15


def test_the_rprop_of_the_paper_takes_a_step_back() -> None:
    x = np.zeros(1)
    for convention, places in (
        # +1: a step down of 0.1; +1: 0.12 more; -1: back, or not; -1: half of 0.12 up.
        ("paper", (-0.1, -0.22, -0.1, -0.04)),
        ("torch", (-0.1, -0.22, -0.22, -0.16)),
    ):
        s, at = Memory(), x
        for sign, place in zip((1, 1, -1, -1), places, strict=True):
            at = textbook.rprop(at, np.full(1, float(sign)), s, lr=0.1, convention=convention)
            assert at[0] == pytest.approx(place)


def test_asgd_uses_a_changed_rate_at_once_only_in_the_paper() -> None:
    for convention, expected in (("torch", 0.1), ("paper", 0.3)):
        s, x = Memory(), np.ones(1)
        first = textbook.asgd(x, x, s, lr=0.1, lambd=0.0, convention=convention)
        second = textbook.asgd(first, x, s, lr=0.3, lambd=0.0, convention=convention)
        assert first - second == pytest.approx(expected)


@pytest.mark.parametrize(("convention", "since"), [("paper", 5), ("torch", 6)])
def test_the_average_of_asgd_is_that_of_the_points_after_t0(convention: str, since: int) -> None:
    s, x, points = Memory(), np.ones(3), []
    for (gradient,) in plain(((3,),), 20):
        x = textbook.asgd(x, gradient, s, lr=0.1, t0=5, convention=convention)
        points.append(x)
    assert np.max(abs(s.ax - np.mean(points[since:], axis=0))) < 1e-15


def test_adafactor_parts_from_the_paper_where_gradients_are_small_and_fall() -> None:
    """torch's clamp at 2e-16, on squares, is a gradient of 1.5e-8.

    Below it the estimate is too small and the update too large. At first the clipping takes
    that back; but it also takes a step of its full size where the gradient fell tenfold.
    """
    g = np.array([[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]])
    for size, least, most in ((1.0, 0.0, 1e-15), (1e-10, 2e-3, 2e-2)):
        ends = []
        for convention in textbook.CONVENTIONS:
            s, x = Memory(), np.ones((2, 3))
            for fallen in (size, size / 10):
                x = textbook_matrix.adafactor(x, fallen * g, s, lr=0.01, convention=convention)
            ends.append(x)
        assert least <= np.max(abs(ends[0] - ends[1])) <= most


def test_the_muon_of_the_paper_moves_by_an_orthogonal_matrix() -> None:
    for shape in ((6, 5), (3, 7)):
        (g,) = plain((shape,), 1)[0]
        x, scale = np.zeros(shape), math.sqrt(max(1, shape[0] / shape[1]))
        sigma = {
            convention: np.linalg.svd(
                textbook_matrix.muon(x, g, Memory(), lr=1.0, convention=convention) / scale
            )[1]
            for convention in textbook.CONVENTIONS
        }
        assert np.max(abs(sigma["paper"] - 1)) < 1e-14
        assert np.max(abs(sigma["torch"] - 1)) > 0.03
        assert np.min(sigma["torch"]) > 0.5
        assert np.max(sigma["torch"]) < 1.3


def test_centered_rmsprop_has_no_floor_under_its_root_in_torch_alone() -> None:
    """On a constant gradient n - m^2 goes to 0, from where rounding makes it negative."""
    g = np.random.default_rng(0).standard_normal(64)
    ends = {}
    for convention in textbook.CONVENTIONS:
        s, x = Memory(), np.zeros(64)
        with np.errstate(invalid="ignore"):
            for _ in range(4000):
                x = textbook.rmsprop(x, g, s, centered=True, convention=convention)
        ends[convention] = np.isnan(x).any()
    assert ends == {"torch": True, "paper": False}


def conventional() -> list[Rule]:
    return [rule for rule in rules() if "convention" in inspect.signature(rule).parameters]


def rules() -> list[Rule]:
    return [getattr(optimizers, name).rule for name in CLASSES]


CLASSES = [
    name
    for name, found in vars(optimizers).items()
    if inspect.isclass(found)
    and issubclass(found, TextbookOptimizer)
    and found is not TextbookOptimizer
]


@pytest.mark.parametrize("rule", conventional(), ids=lambda rule: rule.__name__)
def test_a_convention_that_is_none_is_refused(rule: Rule) -> None:
    settings = {"amsgrad": True} if rule is textbook.adam else {}
    settings = {"momentum": 0.9} if rule is textbook.sgd else settings
    x = np.ones((2, 2))
    with pytest.raises(ValueError, match="convention must be 'torch' or 'paper', not 'tensor'"):
        rule(x, x, Memory(), **settings, convention="tensor")


# ---------------------------------------------------------------- by hand

ONE_STEP: list[tuple[Rule, Settings, float]] = [
    # From x = 1 with g = 0.5: mhat = 0.5, vhat = 0.25, a step of lr (but for eps).
    (textbook.adam, {"lr": 0.1, "eps": 0.0}, 0.9),
    (textbook.adam, {"lr": 0.1, "eps": 0.5}, 0.95),
    (textbook.adam, {"lr": 0.1, "eps": 0.0, "maximize": True}, 1.1),
    # m = 0.05, v = 0.00025: 0.1 * 0.05 / 0.0158113883
    (textbook.adam, {"lr": 0.1, "eps": 0.0, "amsgrad": True, "convention": "paper"}, 0.683772234),
    (textbook.adamw, {"lr": 0.1, "eps": 0.0, "weight_decay": 0.2}, 0.88),
    (textbook.adamw, {"lr": 0.1, "eps": 0.0, "weight_decay": 0.2, "convention": "paper"}, 0.7),
    # mu_1 = 0.9 (1 - 0.5 * 0.96^0.004) = 0.450073474, mu_2 with 0.008: 0.450146935. g_hat (1 -
    # mu_1) = 0.5; m_hat = 0.05 / (1 - mu_1 mu_2) = 0.062703724; m_bar = 0.528225889; n_hat = 0.25
    (textbook.nadam, {"lr": 0.1, "eps": 0.0}, 1 - 0.1 * 1.056451778),
    (textbook.radam, {"lr": 0.1}, 0.95),
    (textbook.adamax, {"lr": 0.1, "eps": 0.0}, 0.9),
    (textbook.adagrad, {"lr": 0.1, "eps": 0.0}, 0.9),
    (textbook.adagrad, {"lr": 0.1, "eps": 0.5}, 0.95),
    # The root of 0.01 * 0.25 is a tenth of g: ten times the rate.
    (textbook.rmsprop, {"lr": 0.01, "eps": 0.0}, 0.9),
    # 0.0025 - 0.005^2 = 0.002475
    (textbook.rmsprop, {"lr": 0.01, "eps": 0.0, "centered": True}, 1 - 0.005 / 0.0497493719),
    # sqrt(0.01) / sqrt(0.025 + 0.01) * 0.5 = 0.267261242
    (textbook.adadelta, {"eps": 0.01}, 0.732738758),
    (textbook.rprop, {"lr": 0.1}, 0.9),
    (textbook.asgd, {"lr": 0.1, "lambd": 0.5}, 0.9),
    # At step 1 beta2 is 0, so v = g^2; alpha = RMS(x) lr = 0.1
    (textbook_matrix.adafactor, {"lr": 0.1}, 0.9),
    (textbook_matrix.adafactor, {"lr": 0.1, "weight_decay": 0.5}, 0.85),
    (textbook_matrix.adafactor, {"lr": 0.1, "eps": (None, 3.0)}, 0.7),
    # The paper adds to the square, 0.25 + 0.75 = 1; torch clamps the root, at 1: half a step.
    (textbook_matrix.adafactor, {"lr": 0.1, "eps": (0.75, 0.1), "convention": "paper"}, 0.95),
    (textbook_matrix.adafactor, {"lr": 0.1, "eps": (1.0, 0.1)}, 0.95),
    (textbook.sparseadam, {"lr": 0.1, "eps": 1e-30}, 0.9),
    # The uncorrected root is 0.0158113883; with an eps as large, half the step.
    (textbook.sparseadam, {"lr": 0.1, "eps": 0.0158113883}, 0.95),
    (textbook.lion, {"lr": 0.1, "weight_decay": 0.5}, 0.85),
    (textbook.signum, {"lr": 0.1, "weight_decay": 0.5}, 0.85),
    (textbook.sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, 0.95),
    (textbook.sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.5}, 0.81),
]


@pytest.mark.parametrize(
    ("rule", "settings", "expected"),
    ONE_STEP,
    ids=[f"{rule.__name__}-{settings}" for rule, settings, _ in ONE_STEP],
)
def test_the_first_step_is_that_of_hand_and_pencil(
    rule: Rule, settings: Settings, expected: float
) -> None:
    for shape in ((3,), (2, 3)):
        moved = rule(np.ones(shape), np.full(shape, 0.5), Memory(), **settings)
        assert moved == pytest.approx(np.full(shape, expected), rel=1e-8)


def test_the_second_step_of_adam_is_that_of_hand_and_pencil() -> None:
    """g = 1, then -2: m = 0.09 - 0.2, v = 0.000999 + 0.004."""
    s, x = Memory(), np.zeros(1)
    for g in (1.0, -2.0):
        x = textbook.adam(x, np.full(1, g), s, lr=0.1, eps=0.0)
    assert s.m[0] == pytest.approx(-0.11)
    assert s.v[0] == pytest.approx(0.004999)
    # mhat = -0.11 / 0.19 = -0.578947, vhat = 0.004999 / 0.001999 = 2.500750, root 1.581376
    assert x[0] == pytest.approx(-0.1 + 0.1 * 0.578947368 / 1.581376, rel=1e-6)


def test_the_factored_second_moment_of_a_matrix_of_rank_one_is_exact() -> None:
    """Then every element of u is 1: all move alike, by lr RMS(x)."""
    g = np.outer([1.0, -2.0, 3.0], [0.1, 1.0])
    moved = textbook_matrix.adafactor(np.full((3, 2), 2.0), g, Memory(), lr=0.1)
    assert moved == pytest.approx(2 - 0.2 * np.sign(g), rel=1e-12)


def test_a_rule_writes_neither_to_its_parameter_nor_to_its_gradient() -> None:
    for rule in rules():
        x, g, s = np.ones((2, 3)), np.full((2, 3), 0.5), Memory()
        x.flags.writeable = g.flags.writeable = False
        if rule is textbook_swarm.adam_swarm:
            rule(x, g, s, np.zeros(2), np.zeros(2))
        else:
            rule(rule(x, g, s), g, s)


# ---------------------------------------------------------------- as torch optimizers

SMALL = ((4, 3), (2, 5))


def parameters(dtype: torch.dtype, shapes: Sequence[tuple[int, ...]] = SMALL) -> list[Any]:
    return [torch.nn.Parameter(torch.from_numpy(x).to(dtype)) for x in start(shapes)]


def advance(optimizer: optim.Optimizer, first: int, last: int) -> None:
    """Steps first to last; the loss is a quadratic whose tilt depends on the step."""
    ours = [p for group in optimizer.param_groups for p in group["params"]]

    def closure(step: int) -> torch.Tensor:
        optimizer.zero_grad()
        losses = [(p.double() * (p.double() + math.sin(step + 1))).sum() for p in ours]
        loss = torch.stack(losses).sum()
        loss.backward()
        if isinstance(optimizer, optimizers.TextbookSparseAdam):
            for p in ours:
                p.grad = only(p.grad, p.grad > -0.5)
        return loss

    for step in range(first, last):
        optimizer.step(functools.partial(closure, step))


def state_of(optimizer: optim.Optimizer) -> list[dict[str, Any]]:
    return list(optimizer.state_dict()["state"].values())


def same_bits(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    return len(ours) == len(theirs) and all(
        a.keys() == b.keys()
        and all(
            torch.equal(a[name], b[name]) and a[name].dtype is b[name].dtype is torch.float64
            if isinstance(a[name], torch.Tensor)
            else a[name] == b[name] and type(a[name]) is type(b[name])
            for name in a
        )
        for a, b in zip(ours, theirs, strict=True)
    )


MAKE = {
    **{name: {} for name in CLASSES},
    "TextbookSGD": {"momentum": 0.9},
    "TextbookAdam": {"amsgrad": True},
    "TextbookRMSprop": {"centered": True, "momentum": 0.9},
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_the_state_survives_a_checkpoint_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    made = getattr(optimizers, name)
    ours = parameters(dtype)
    optimizer = made(ours, **MAKE[name])
    advance(optimizer, 0, 7)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    other = made(theirs, **MAKE[name])
    other.load_state_dict(torch.load(file, weights_only=True))
    assert state_of(optimizer)
    assert same_bits(state_of(optimizer), state_of(other))
    advance(optimizer, 7, 12)
    advance(other, 7, 12)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert same_bits(state_of(optimizer), state_of(other))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("name", CLASSES)
def test_a_copy_goes_on_as_the_original(name: str, copied: Any) -> None:
    optimizer = getattr(optimizers, name)(parameters(torch.float32), **MAKE[name])
    advance(optimizer, 0, 5)
    other = copied(optimizer)
    advance(optimizer, 5, 9)
    advance(other, 5, 9)
    assert same_bits(state_of(optimizer), state_of(other))
    for group, theirs in zip(optimizer.param_groups, other.param_groups, strict=True):
        assert all(map(torch.equal, group["params"], theirs["params"]))


def test_hooks_around_loading_see_what_they_see_elsewhere() -> None:
    optimizer = optimizers.TextbookAdam(parameters(torch.float32))
    advance(optimizer, 0, 3)
    other, seen = optimizers.TextbookAdam(parameters(torch.float32)), []
    other.register_load_state_dict_pre_hook(lambda _, loaded: seen.append(loaded["state"][0]))
    other.register_load_state_dict_post_hook(lambda loaded: seen.append(state_of(loaded)[0]))
    other.load_state_dict(optimizer.state_dict())
    assert same_bits(seen, [state_of(optimizer)[0]] * 2)


def test_a_float32_parameter_holds_the_rules_result_rounded_once_a_step() -> None:
    (parameter,) = ours = parameters(torch.float32, SMALL[:1])
    optimizer = optimizers.TextbookAdam(ours, lr=0.01)
    x, s = parameter.detach().double().numpy().copy(), Memory()
    for (gradient,) in plain(SMALL[:1], 20):
        parameter.grad = torch.from_numpy(gradient).float()
        optimizer.step()
        x = textbook.adam(x, parameter.grad.double().numpy(), s, lr=0.01)
        x = x.astype(np.float32).astype(np.float64)
        assert np.array_equal(x, parameter.detach().double().numpy())


def test_a_gradient_that_is_cleared_in_place_is_not_cleared_in_the_memory() -> None:
    for made, settings in (
        (optimizers.TextbookSGD, {"momentum": 0.9}),
        (optimizers.TextbookRprop, {}),
    ):
        (parameter,) = ours = parameters(torch.float64, SMALL[:1])
        optimizer = made(ours, **settings)
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        name = "b" if made is optimizers.TextbookSGD else "g"
        assert torch.equal(optimizer.state[parameter][name], torch.ones_like(parameter))


def test_groups_schedulers_and_missing_gradients_are_what_they_are_in_torch() -> None:
    def go(made: type[optim.Optimizer]) -> list[torch.Tensor]:
        first, second, third = ours = parameters(torch.float64, SHAPES)
        optimizer = made([{"params": [first], "lr": 0.1}, {"params": [second, third]}], lr=0.01)
        schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        for step, given in enumerate(plain(SHAPES, 20)):
            for parameter, gradient in zip(ours, given, strict=True):
                parameter.grad = torch.from_numpy(gradient)
            if step % 3:
                second.grad = None
            optimizer.step()
            schedule.step()
        return ours

    for ours, theirs in zip(go(optimizers.TextbookAdam), go(optim.Adam), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-14)


def test_a_closure_is_called_once_with_gradients_on_and_its_loss_is_returned() -> None:
    (parameter,) = ours = parameters(torch.float64, SMALL[:1])
    optimizer, calls = optimizers.TextbookSGD(ours), []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    assert calls == [True]


def test_a_rate_may_be_a_tensor_and_a_sparse_gradient_is_read_as_a_dense_one() -> None:
    (first,), (second,) = (parameters(torch.float64, SMALL[:1]) for _ in range(2))
    gradient = torch.eye(4, 3, dtype=torch.float64)
    first.grad, second.grad = gradient, gradient.to_sparse()
    optimizers.TextbookAdagrad([first], lr=torch.tensor(0.5)).step()
    optimizers.TextbookAdagrad([second], 0.5).step()
    assert torch.equal(first, second)


@pytest.mark.parametrize("eps1", [None, 1e-4])
def test_adafactor_takes_its_eps_from_the_parameters_dtype(eps1: float | None) -> None:
    """As torch does for the first parameter; in float32 it matters below gradients of 3e-4."""
    gradient = 1e-5 * plain(SMALL[:1], 1)[0][0]
    ours, theirs = (parameters(torch.float32, SMALL[:1]) for _ in range(2))
    for given, made in ((ours, optimizers.TextbookAdafactor), (theirs, optim.Adafactor)):
        given[0].grad = torch.from_numpy(gradient).float()
        made(given, lr=0.1, eps=(eps1, 1e-3)).step()
    assert torch.allclose(ours[0], theirs[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("original", "name"), ORACLES.items(), ids=lambda v: str(v))
def test_an_oracle_is_registered_and_takes_what_its_original_takes(
    original: type[optim.Optimizer], name: str
) -> None:
    implementation = {"foreach", "fused", "capturable", "differentiable", "params"}
    theirs = inspect.signature(original).parameters
    ours = inspect.signature(OPTIMIZERS[name].factory).parameters
    assert [n for n in theirs if n not in implementation] == [
        n for n in ours if n not in {"params", "convention"}
    ] or set(ours) - {"convention"} == set(theirs) - implementation | {"params"}
    for key in set(ours) - {"params", "convention"}:
        assert ours[key].default == theirs[key].default
    assert type(OPTIMIZERS[name].factory) is type
    assert issubclass(OPTIMIZERS[name].factory, TextbookOptimizer)


def test_every_class_is_somebodys_oracle_and_can_be_adopted_by_its_path() -> None:
    assert {OPTIMIZERS[name].factory.__name__ for name in ORACLES.values()} == set(CLASSES)
    row = OPTIMIZERS["optbench.optimizers.textbook_optimizers:TextbookAdam"]
    assert row.defaults["lr"] == 1e-3


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        ("Adam", {"lr": -1.0}, "lr must be in [0, inf), not -1.0"),
        ("Adam", {"lr": math.nan}, "lr must be in [0, inf), not nan"),
        ("Adam", {"eps": -1.0}, "eps must be"),
        ("Adam", {"betas": (0.9, 1.0)}, "betas[1] must be in [0, 1), not 1.0"),
        ("Adam", {"betas": (-0.1, 0.9)}, "betas[0] must be"),
        ("Adam", {"weight_decay": -1.0}, "weight_decay must be"),
        ("Adam", {"convention": "mine"}, "convention must be 'torch' or 'paper', not 'mine'"),
        ("SGD", {"momentum": -0.1}, "momentum must be"),
        ("SGD", {"nesterov": True}, "nesterov needs a momentum and no dampening"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs"),
        ("NAdam", {"momentum_decay": -1.0}, "momentum_decay must be"),
        ("Adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value must be"),
        ("Adadelta", {"rho": 1.0}, "rho must be in [0, 1)"),
        ("Rprop", {"etas": (1.2, 0.5)}, "etas must be"),
        ("Adafactor", {"eps": (-1.0, 1e-3)}, "eps[0] must be"),
        ("Adafactor", {"eps": (None, -1e-3)}, "eps[1] must be"),
        ("Adafactor", {"d": 0.5}, "d must be >= 1"),
        ("Adafactor", {"beta2_decay": 0.1}, "beta2_decay must be <= 0"),
        ("Muon", {"adjust_lr_fn": "mine"}, "adjust_lr_fn must be"),
        ("AdamSwarm", {"particles": 0}, "particles must be a whole number >= 1, not 0"),
    ],
)
def test_a_wrong_value_is_refused_for_the_optimizer_and_for_a_group(
    name: str, wrong: Settings, text: str
) -> None:
    made = getattr(optimizers, f"Textbook{name}")
    for params, settings in (
        (parameters(torch.float64), wrong),
        ([{"params": parameters(torch.float64), **wrong}], {}),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            made(params, **settings)
        assert text in str(caught.value)


def test_what_no_rule_can_take_is_refused() -> None:
    ours = parameters(torch.float64)
    with pytest.raises(TypeError, match="foreach"):
        optimizers.TextbookAdam(ours, foreach=True)
    with pytest.raises(ValueError, match="muon is for matrices, not for"):
        optimizers.TextbookMuon([torch.zeros(3, requires_grad=True)])
    dense = torch.ones(3, requires_grad=True)
    dense.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="needs sparse gradients"):
        optimizers.TextbookSparseAdam([dense]).step()
    complex_one = torch.ones(3, dtype=torch.complex64, requires_grad=True)
    complex_one.grad = torch.ones(3, dtype=torch.complex64)
    with pytest.raises(TypeError, match="needs real parameters"):
        optimizers.TextbookSGD([complex_one]).step()
    with pytest.raises(TypeError, match="needs a closure"):
        optimizers.TextbookAdamSwarm(ours).step()


# ---------------------------------------------------------------- the swarm


@pytest.mark.usefixtures("float64_scalars")
@pytest.mark.parametrize(
    "settings", [{}, BETAS, EPS, {"social": 0.5}, {"particles": 1}, {"seed": 3, "spread": 1.0}]
)
def test_the_swarm_follows_ours(settings: Settings) -> None:
    """Whose pull is in the default dtype: with float32 the two are 3e-9 apart."""
    ours, theirs = parameters(torch.float64), parameters(torch.float64)
    mine = optimizers.TextbookAdamSwarm(ours, lr=0.01, **settings)
    other = AdamSwarm(theirs, lr=0.01, **settings)
    advance(mine, 0, 100)
    advance(other, 0, 100)
    for a, b, c in zip(ours, theirs, parameters(torch.float64), strict=True):
        assert torch.max(abs(a - b)) < ROUNDING
        assert torch.max(abs(a - c)) > 0.1


def test_one_step_of_two_particles_is_that_of_hand_and_pencil() -> None:
    """Each goes an Adam step of 0.1 down; the second, a tenth of the way to the first, too."""
    x, g = np.array([[1.0], [3.0]]), np.array([[0.5], [-4.0]])
    losses, draws = np.array([1.0, 2.0]), np.array([0.9, 0.5])
    moved = textbook_swarm.adam_swarm(*(x, g, Memory(), losses, draws), lr=0.1, eps=0.0, social=0.2)
    assert moved == pytest.approx(np.array([[0.9], [3.1 - 0.2 * 0.5 * 2]]))


def test_a_particle_without_a_loss_does_not_lead() -> None:
    assert textbook_swarm.leader(np.array([np.nan, 3.0, 2.0])) == 2
    assert textbook_swarm.leader(np.array([np.nan, np.nan])) == 0
