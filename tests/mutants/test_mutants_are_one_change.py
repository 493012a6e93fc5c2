"""Twins compute what torch or an oracle computes; each mutant differs where its bug lives.

Nothing of the contract is used here: that it catches the mutants is another test.
"""

from __future__ import annotations

import importlib
import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mutants import MUTANTS, Mutant
from mutants.adafactor import (
    Adafactor,
    AveragesStepsInsteadOfUpdates,
    ReferenceAdafactorMomentum,
)
from mutants.adagrad import Adagrad, SparseForeachReturnsEarly
from mutants.adam import (
    Adam,
    AdamW,
    BiasCorrectedTwice,
    ComplexAdam,
    CoupledDecayInAdamW,
    DecayAfterTheUpdate,
    EpsAfterTheReciprocal,
    EpsScaledByTheBiasCorrection,
    LoadingMakesStepsDearer,
    MaximizeNegatesTwice,
    SharedStepCounter,
    SquaresComplexNumbers,
    StepCastOnLoad,
)
from mutants.adam_paths import (
    AdamWithPaths,
    AmsgradForeachForgetsTheMax,
    ForeachByDefault,
    FusedIgnoresOverflow,
)
from mutants.asgd import ASGD, PowerOfTheStepAlone
from mutants.base import Twin
from mutants.lbfgs import LBFGS, LineSearchIgnoresMaxEval
from mutants.muon import Muon, ShapeScaleWithoutItsFloor
from mutants.nadam import NAdam, OneMomentumFactorTooMany
from mutants.rprop import OneStepStale, Rprop
from mutants.schedule_free import ScheduleFreeSGD
from mutants.sgd import SGD, NesterovWithTheWrongSign, SGDInHalf, SGDWithPaths
from mutants.signs import (
    BufferZeroedEveryStep,
    DecayInsideTheSign,
    Lion,
    Signum,
    WeightDecayIgnored,
)
from mutants.soap import SOAP, FirstMomentInTheEigenbasis, ReferenceSOAP
from optbench.optimizers import OPTIMIZERS, lion, signum

Make = Callable[..., torch.optim.Optimizer]

MATRICES = ((5, 3), (3, 7))
MIXED = ((5, 3), (6,))


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Torch keeps NAdam's product and ASGD's rate in the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def starts(shapes: Sequence[tuple[int, ...]] = MIXED) -> list[torch.nn.Parameter]:
    torch.manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]


def gradients(
    shapes: Sequence[tuple[int, ...]] = MIXED, steps: int = 60, scale: float = 1.0
) -> list[list[Tensor]]:
    """Gradients that shrink by two decades."""
    torch.manual_seed(2)
    return [
        [torch.randn(shape) * scale * 10 ** (-2 * step / steps) for shape in shapes]
        for step in range(steps)
    ]


def lead(optimizer: torch.optim.Optimizer, given: list[list[Tensor]]) -> Tensor:
    """The parameters after each step: [steps, elements]."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    path = []
    for step in given:
        for parameter, gradient in zip(params, step, strict=True):
            parameter.grad = gradient.to(parameter.dtype) if parameter.numel() else None
        optimizer.step()
        path.append(torch.cat([p.detach().double().reshape(-1) for p in params]))
    return torch.stack(path)


def path(
    make: Make,
    shapes: Sequence[tuple[int, ...]] = MIXED,
    steps: int = 60,
    scale: float = 1.0,
    **settings: Any,
) -> Tensor:
    return lead(make(starts(shapes), **settings), gradients(shapes, steps, scale))


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


# ---------------------------------------------------------------------- twins

DECAY = {"weight_decay": 0.1}

SCHEDULE_FREE = OPTIMIZERS["textbook-schedule-free-sgd"].factory

AGREEMENTS = [
    pytest.param(twin, other, settings, extra, id=f"{twin.__name__}-{settings}-{extra}")
    for twin, other, settings, extra in [
        (Adam, torch.optim.Adam, {}, {}),
        (Adam, torch.optim.Adam, DECAY | {"amsgrad": True}, {}),
        (Adam, torch.optim.Adam, {"maximize": True, "betas": (0.8, 0.9), "eps": 1e-3}, {}),
        (AdamWithPaths, torch.optim.Adam, DECAY | {"amsgrad": True, "foreach": True}, {}),
        (AdamWithPaths, torch.optim.Adam, DECAY | {"maximize": True, "fused": True}, {}),
        (AdamW, torch.optim.AdamW, {}, {}),
        (AdamW, torch.optim.AdamW, DECAY | {"amsgrad": True, "maximize": True}, {}),
        (NAdam, torch.optim.NAdam, DECAY, {}),
        (NAdam, torch.optim.NAdam, {"momentum_decay": 0.1, "maximize": True}, {}),
        (ASGD, torch.optim.ASGD, DECAY | {"lambd": 0.5, "lr": 0.1}, {}),
        (ASGD, torch.optim.ASGD, {"alpha": 0.3, "maximize": True}, {}),
        (Rprop, torch.optim.Rprop, {}, {}),
        (Rprop, torch.optim.Rprop, {"etas": (0.3, 1.5), "maximize": True, "lr": 0.1}, {}),
        (SGD, torch.optim.SGD, DECAY, {"nesterov": True, "momentum": 0.9}),
        (SGD, torch.optim.SGD, {"nesterov": False, "momentum": 0.8, "maximize": True}, {}),
        (Adagrad, torch.optim.Adagrad, DECAY | {"maximize": True}, {}),
        (Adagrad, torch.optim.Adagrad, DECAY | {"foreach": True}, {}),
        (Adafactor, ReferenceAdafactorMomentum, DECAY, {}),
        (Adafactor, ReferenceAdafactorMomentum, {"beta1": 0.5, "maximize": True}, {}),
        (SOAP, ReferenceSOAP, {}, {}),
        (SOAP, ReferenceSOAP, DECAY | {"precondition_frequency": 1}, {}),
        (Lion, lion.Lion, DECAY | {"maximize": True}, {}),
        (Signum, signum.Signum, DECAY | {"momentum": 0.5, "maximize": True}, {}),
        (SGDWithPaths, torch.optim.SGD, DECAY | {"momentum": 0.9}, {}),
        (SGDWithPaths, torch.optim.SGD, DECAY | {"momentum": 0.9, "foreach": True}, {}),
        (SGDInHalf, torch.optim.SGD, DECAY, {"nesterov": True, "momentum": 0.9}),
        (ComplexAdam, torch.optim.Adam, DECAY | {"amsgrad": True}, {}),
        (ScheduleFreeSGD, SCHEDULE_FREE, {"lr": 0.05, "momentum": 0.8}, {}),
    ]
]


@pytest.mark.parametrize(("twin", "other", "settings", "extra"), AGREEMENTS)
def test_a_twin_computes_what_another_implementation_computes(
    twin: Make, other: Make, settings: dict[str, Any], extra: dict[str, Any]
) -> None:
    for shapes in (MIXED, MATRICES):
        assert apart(path(twin, shapes, **settings), path(other, shapes, **settings, **extra)) < (
            1e-12
        )


@pytest.mark.parametrize("settings", [{}, {"nesterov": False, "momentum": 0.8}, {"lr": 0.1}])
def test_muon_is_torch_s_but_for_a_last_bfloat16_bit(settings: dict[str, Any]) -> None:
    one, other = (path(make, MATRICES, **settings) for make in (Muon, torch.optim.Muon))
    # A bit of an element of a step, and hardly ever one: 60 steps of lr * 2^-8 at the very most.
    assert apart(one, other) < 0.1 * settings.get("lr", 1e-3) * 2**-8 * 60
    assert (one[0] == other[0]).float().mean() > 0.9


@pytest.mark.parametrize("settings", [{}, DECAY | {"maximize": True, "lr": 0.1}])
def test_adafactor_without_its_first_moment_is_torch_s(settings: dict[str, Any]) -> None:
    one = path(Adafactor, beta1=0.0, **settings)
    assert apart(one, path(torch.optim.Adafactor, **settings)) < 1e-12


def test_soap_keeps_to_its_oracle_for_as_long_as_the_contract_looks() -> None:
    one, other = (path(make, MATRICES, steps=300) for make in (SOAP, ReferenceSOAP))
    assert apart(one, other) < 1e-11


@pytest.mark.parametrize("foreach", [False, True])
def test_adagrad_takes_sparse_gradients_as_torch_does(foreach: bool) -> None:
    def walk(make: Make) -> Tensor:
        return lead(make(starts(), foreach=foreach), sparse())

    assert apart(walk(Adagrad), walk(torch.optim.Adagrad)) < 1e-12


def sparse() -> list[list[Tensor]]:
    """Every other row, some of them twice."""
    return [
        [
            torch.sparse_coo_tensor(
                torch.tensor([[0, 2, 2]]) + step % 3,
                gradient[:3],
                gradient.shape,
                check_invariants=False,
            )
            for gradient in each
        ]
        for step, each in enumerate(gradients(steps=20))
    ]


class Rosenbrock:
    """A closure that counts its calls."""

    def __init__(self) -> None:
        self.x = torch.nn.Parameter(torch.tensor([-1.2, 1.0]))
        self.calls = 0

    def __call__(self) -> Tensor:
        self.calls += 1
        assert torch.is_grad_enabled()
        self.x.grad = None
        a, b = self.x
        loss = (1 - a) ** 2 + 100 * (b - a**2) ** 2
        loss.backward()
        return loss


def calls_per_step(make: Make, steps: int = 5, **settings: Any) -> list[int]:
    closure = Rosenbrock()
    optimizer = make([closure.x], **settings)
    calls = []
    for _ in range(steps):
        closure.calls = 0
        optimizer.step(closure)
        calls.append(closure.calls)
    return calls


def test_lbfgs_is_torch_s_while_evaluations_last() -> None:
    ends = []
    for make, settings in (
        (LBFGS, {}),
        (torch.optim.LBFGS, {"line_search_fn": "strong_wolfe", "max_iter": 10**6}),
    ):
        closure = Rosenbrock()
        make([closure.x], max_eval=10**6, history_size=5, **settings).step(closure)
        ends.append(closure.x.detach())
    assert apart(*ends) < 1e-12
    assert apart(ends[0], torch.ones(2)) < 1e-4


@pytest.mark.parametrize("most", [1, 2, 3, 7, 25])
def test_lbfgs_keeps_to_its_limit(most: int) -> None:
    assert max(calls_per_step(LBFGS, max_eval=most)) <= most


TWINS = sorted({mutant.correct for mutant in MUTANTS})


def named(target: str) -> type[torch.optim.Optimizer]:
    module, name = target.split(":")
    found: type[torch.optim.Optimizer] = getattr(importlib.import_module(module), name)
    return found


def resumed(optimizer: torch.optim.Optimizer, **settings: Any) -> torch.optim.Optimizer:
    """A fresh instance on copies of the parameters that has loaded the saved state."""
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    copies = [torch.nn.Parameter(p.detach().clone()) for p in params]
    fresh = type(optimizer)(copies, **settings)
    fresh.load_state_dict(torch.load(buffer, weights_only=True))
    return fresh


@pytest.mark.parametrize("target", [t for t in TWINS if "lbfgs" not in t])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=["float64", "bfloat16"])
def test_a_twin_goes_on_with_the_same_bits_after_loading(target: str, dtype: torch.dtype) -> None:
    params = [torch.nn.Parameter(p.detach().to(dtype)) for p in starts(MATRICES)]
    optimizer = named(target)(params)
    given = gradients(MATRICES)
    for _ in range(5):
        lead(optimizer, given)
    lead(optimizer, given[:1])
    fresh = resumed(optimizer)
    assert torch.equal(lead(fresh, given[:30]), lead(optimizer, given[:30]))


@pytest.mark.parametrize("target", TWINS)
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_twin_refuses_wrong_values(target: str, value: float) -> None:
    twin = named(target)
    numbers = [
        name
        for name, p in inspect.signature(twin).parameters.items()
        if isinstance(p.default, int | float) and not isinstance(p.default, bool)
    ]
    assert "lr" in numbers
    for name in numbers:
        with pytest.raises(ValueError, match=name):
            twin(starts(MATRICES), **{name: value})  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="lr"):
        twin([{"params": starts(MATRICES), "lr": value}])


@pytest.mark.parametrize("target", [t for t in TWINS if "lbfgs" not in t])
def test_a_twin_leaves_alone_what_is_not_its_own(target: str) -> None:
    first, second = starts(MATRICES)
    optimizer = named(target)([first, second])
    before, gradient = second.detach().clone(), torch.ones(5, 3)
    first.grad = gradient.clone()
    assert optimizer.step(lambda: float(torch.is_grad_enabled())) == 1.0  # type: ignore[arg-type]
    assert torch.equal(second, before)
    assert not optimizer.state[second]
    assert torch.equal(first.grad, gradient)


# ---------------------------------------------------------------------- mutants


def test_the_table_has_all_of_them() -> None:
    assert [mutant.number for mutant in MUTANTS] == list(range(1, 55))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: str(m.number))
def test_a_mutant_is_its_twin_with_one_change(mutant: Mutant) -> None:
    broken, correct = named(mutant.broken), named(mutant.correct)
    assert broken.__base__ is correct
    changed = [n for n in vars(broken) if not n.startswith("__") or n == "__setstate__"]
    if broken is StepCastOnLoad:  # another name of a state, where it is made and where it is used
        assert changed == ["begin", "tick"]
    else:
        assert len(changed) == 1
    assert inspect.signature(broken) == inspect.signature(correct)
    assert issubclass(correct, Twin)
    assert mutant.where.split("#")[0] in (broken.__doc__ or "")
    assert mutant.caught_by
    if mutant.reference.startswith("mutants."):
        named(mutant.reference)


def test_1_amsgrad_forgets_its_maximum_by_foreach_alone() -> None:
    mutant, twin = AmsgradForeachForgetsTheMax, AdamWithPaths
    both = {"amsgrad": True, "foreach": True}
    assert apart(path(mutant, **both), path(twin, **both)) > 1e-6
    assert torch.equal(path(mutant, amsgrad=True), path(twin, amsgrad=True))
    assert torch.equal(path(mutant, foreach=True), path(twin, foreach=True))
    optimizer = mutant(starts(), **both)
    lead(optimizer, gradients())
    assert not optimizer.state[optimizer.param_groups[0]["params"][0]]["max_exp_avg_sq"].any()


def test_2_nadam_has_one_factor_too_many() -> None:
    one, other = path(OneMomentumFactorTooMany), path(NAdam)
    # mu_1 mu_2 is about a quarter: the first step divides by 1 - 1/8 where 1 - 1/4 is right.
    assert apart(one[:1], other[:1]) > 1e-5
    # Without any momentum there is nothing to multiply.
    betas = {"betas": (0.0, 0.999)}
    assert torch.equal(path(OneMomentumFactorTooMany, **betas), path(NAdam, **betas))


def test_3_asgd_raises_the_step_alone() -> None:
    one, other = path(PowerOfTheStepAlone), path(ASGD)
    assert torch.equal(one[:1], other[:1])
    assert 1e-9 < apart(one, other) < 1e-3
    assert torch.equal(path(PowerOfTheStepAlone, alpha=1.0), path(ASGD, alpha=1.0))


def test_4_the_decay_comes_after_the_update() -> None:
    one, other = path(DecayAfterTheUpdate), path(AdamW)
    # Of the order lr^2 decay a step: no convergence test sees it.
    assert 1e-9 < apart(one, other) < 1e-5
    none = {"weight_decay": 0.0}
    assert torch.equal(path(DecayAfterTheUpdate, **none), path(AdamW, **none))


def test_5_adamw_decays_as_adam_does() -> None:
    assert torch.equal(path(CoupledDecayInAdamW, **DECAY), path(Adam, **DECAY))
    assert apart(path(CoupledDecayInAdamW, **DECAY), path(AdamW, **DECAY)) > 1e-3
    none = {"weight_decay": 0.0}
    assert torch.equal(path(CoupledDecayInAdamW, **none), path(AdamW, **none))


def test_6_lion_decays_inside_its_sign() -> None:
    assert apart(path(DecayInsideTheSign, **DECAY), path(Lion, **DECAY)) > 1e-4
    assert torch.equal(path(DecayInsideTheSign), path(Lion))


def test_7_signum_ignores_its_decay() -> None:
    assert torch.equal(path(WeightDecayIgnored, **DECAY), path(Signum))
    assert apart(path(Signum, **DECAY), path(Signum)) > 1e-5


def test_8_to_maximize_is_to_minimize() -> None:
    assert torch.equal(path(MaximizeNegatesTwice, maximize=True), path(Adam))
    assert torch.equal(path(MaximizeNegatesTwice), path(Adam))
    assert apart(path(Adam, maximize=True), path(Adam)) > 1e-2


def test_9_a_counter_is_shared() -> None:
    assert apart(path(SharedStepCounter), path(Adam)) > 1e-4
    alone = ((5, 3),)
    assert torch.equal(path(SharedStepCounter, alone), path(Adam, alone))


def test_10_what_remains_of_the_bias_correction_is_beta_to_the_t() -> None:
    one, other = path(BiasCorrectedTwice), path(Adam)
    # 0.1 / 0.9 over root 0.001 / 0.999, where Adam's first step is of size one.
    ratio = (one[0] - starts_flat()) / (other[0] - starts_flat())
    assert apart(ratio, torch.full_like(ratio, 0.1 / 0.9 / (0.001 / 0.999) ** 0.5)) < 1e-3
    # At 1/2 the first correction is its own complement.
    half = {"betas": (0.5, 0.5)}
    assert apart(path(BiasCorrectedTwice, steps=1, **half), path(Adam, steps=1, **half)) < 1e-12


def starts_flat() -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in starts()])


def test_11_eps_is_scaled_by_the_bias_correction() -> None:
    small = {"scale": 1e-7}
    assert apart(path(EpsScaledByTheBiasCorrection, **small), path(Adam, **small)) > 1e-3
    # Gradients of size one hide it from anything but a comparison.
    assert 1e-10 < apart(path(EpsScaledByTheBiasCorrection), path(Adam)) < 1e-5
    none = {"eps": 0.0}
    assert apart(path(EpsScaledByTheBiasCorrection, **none), path(Adam, **none)) < 1e-13


def test_12_eps_does_not_save_from_a_zero() -> None:
    zeros = [[torch.zeros(shape) for shape in MIXED]]
    assert lead(EpsAfterTheReciprocal(starts()), zeros).isnan().all()
    assert lead(Adam(starts()), zeros).isfinite().all()
    small = {"scale": 1e-7}
    assert apart(path(EpsAfterTheReciprocal, **small), path(Adam, **small)) > 1e-3
    none = {"eps": 0.0}
    assert apart(path(EpsAfterTheReciprocal, **none), path(Adam, **none)) < 1e-13


def test_13_signum_without_a_memory_is_signsgd() -> None:
    assert torch.equal(path(BufferZeroedEveryStep), path(Signum, momentum=0.0))
    assert apart(path(BufferZeroedEveryStep), path(Signum)) > 1e-4


def test_14_rprop_is_one_step_late() -> None:
    one, other = path(OneStepStale), path(Rprop)
    assert torch.equal(one[0], starts_flat())
    assert apart(other[0], starts_flat()) > 1e-3
    steady = [[torch.ones(shape) for shape in MIXED]] * 6
    late, right = lead(OneStepStale(starts()), steady), lead(Rprop(starts()), steady)
    assert apart(late[1:], right[:-1]) < 1e-15


def test_15_nesterov_points_back() -> None:
    # On a steady gradient the first step is (1 - mu) g for (1 + mu) g, the tenth goes uphill.
    steady = [[torch.ones(shape) for shape in MIXED]] * 10
    one, other = lead(NesterovWithTheWrongSign(starts()), steady), lead(SGD(starts()), steady)
    assert (one[-1] - one[-2] > 0).all()
    assert (other[-1] - other[-2] < 0).all()
    plain = {"nesterov": False}
    assert torch.equal(path(NesterovWithTheWrongSign, **plain), path(SGD, **plain))


def test_16_only_a_wide_matrix_shows_the_floor() -> None:
    tall, wide = ((5, 3),), ((3, 7),)
    assert torch.equal(path(ShapeScaleWithoutItsFloor, tall), path(Muon, tall))
    assert apart(path(ShapeScaleWithoutItsFloor, wide), path(Muon, wide)) > 1e-3


def test_17_a_loaded_counter_has_stopped() -> None:
    def count(make: Make, steps: int) -> int:
        parameter = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        optimizer = make([parameter])
        lead(optimizer, [[torch.ones(2)]] * steps)
        fresh = resumed(optimizer)
        (state,) = fresh.state.values()
        return int(state["steps" if make is StepCastOnLoad else "step"])

    assert count(Adam, 301) == 301
    assert count(StepCastOnLoad, 301) != 301
    assert count(StepCastOnLoad, 255) == 255
    assert torch.equal(path(StepCastOnLoad), path(Adam))


def test_18_a_sparse_gradient_ends_the_step() -> None:
    def walk(make: Make, **settings: Any) -> Tensor:
        return lead(make(starts(), **settings), sparse())

    mutant, twin = SparseForeachReturnsEarly, Adagrad
    one = walk(mutant, foreach=True)
    assert torch.equal(one[:, :15], walk(twin)[:, :15])
    assert torch.equal(one[-1, 15:], starts_flat()[15:])
    assert torch.equal(walk(mutant), walk(twin))
    assert torch.equal(path(mutant, foreach=True), path(twin, foreach=True))


@pytest.mark.parametrize("unscaled_before", [False, True])
def test_19_a_scaler_s_overflow_is_ignored(unscaled_before: bool) -> None:
    def walk(make: Make, overflow: bool, **settings: Any) -> Tensor:
        params = starts()
        optimizer = make(params, **settings)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        given = gradients(steps=8)
        for step, each in enumerate(given):
            optimizer.zero_grad()
            loss = sum((p * g).sum() for p, g in zip(params, each, strict=True))
            assert isinstance(loss, Tensor)
            scaler.scale(loss).backward()
            if overflow and step == 3:
                assert params[0].grad is not None
                params[0].grad[0, 0] = torch.inf
            if unscaled_before:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
        return torch.cat([p.detach().reshape(-1) for p in params])

    mutant, twin = FusedIgnoresOverflow, AdamWithPaths
    for overflow in (False, True):
        assert torch.equal(walk(twin, overflow, fused=True), walk(twin, overflow))
    assert torch.equal(walk(mutant, False, fused=True), walk(twin, False))
    assert walk(mutant, True, fused=True).isnan().any()
    assert torch.equal(walk(mutant, True), walk(twin, True))


class Counting(TorchDispatchMode):
    """Counts operations, and the bytes of the largest list of new tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        fresh = result if isinstance(result, list | tuple) else [result]
        self.largest = max(
            self.largest, sum(t.numel() * t.element_size() for t in fresh if torch.is_tensor(t))
        )
        return result


def counted(optimizer: torch.optim.Optimizer, given: list[list[Tensor]]) -> Counting:
    with Counting() as counting:
        lead(optimizer, given)
    return counting


def test_20_the_default_holds_the_temporaries_of_all() -> None:
    shapes = ((100,),) * 20

    def largest(make: Make, **settings: Any) -> int:
        params = starts(shapes)
        optimizer = make(params, **settings)
        given = gradients(shapes, 2)
        lead(optimizer, given[:1])
        for parameter, gradient in zip(params, given[1], strict=True):
            parameter.grad = gradient
        with Counting() as counting:
            optimizer.step()
        return counting.largest

    assert largest(AdamWithPaths) == largest(AdamWithPaths, foreach=False) == 800
    assert largest(ForeachByDefault, foreach=False) == 800
    assert largest(ForeachByDefault) == 20 * 800
    assert torch.equal(path(ForeachByDefault), path(AdamWithPaths))


def test_21_loading_makes_steps_dearer() -> None:
    given = gradients(steps=1)

    def operations(make: Make) -> tuple[int, int]:
        optimizer = make(starts())
        lead(optimizer, given)
        return counted(optimizer, given).operations, counted(resumed(optimizer), given).operations

    before, after = operations(Adam)
    assert before == after
    before, after = operations(LoadingMakesStepsDearer)
    assert after > 1.5 * before

    # What is computed stays the same, but for a rounding of the powers.
    mutant, twin = LoadingMakesStepsDearer(starts()), Adam(starts())
    assert torch.equal(lead(mutant, given), lead(twin, given))
    assert apart(lead(resumed(mutant), gradients()), lead(resumed(twin), gradients())) < 1e-13


def test_22_soap_averages_what_is_rotated() -> None:
    one, other = (path(make, MATRICES) for make in (FirstMomentInTheEigenbasis, SOAP))
    # Until the bases turn for the first time there is one basis, and no difference.
    assert apart(one[:2], other[:2]) < 1e-15
    assert apart(one, other) > 1e-3
    vector = ((6,),)
    assert torch.equal(path(FirstMomentInTheEigenbasis, vector), path(SOAP, vector))


def test_23_a_line_search_ignores_the_limit() -> None:
    # A rate of 10 makes searches long.
    far = {"lr": 10.0, "max_eval": 3}
    assert max(calls_per_step(LineSearchIgnoresMaxEval, **far)) > 3 + 1
    assert max(calls_per_step(LBFGS, **far)) <= 3


def test_24_old_steps_keep_the_rate_of_their_time() -> None:
    mutant = AveragesStepsInsteadOfUpdates
    assert apart(path(mutant), path(Adafactor)) > 1e-7
    assert apart(path(mutant, beta1=0.0), path(Adafactor, beta1=0.0)) < 1e-15


@pytest.mark.parametrize("mutant", MUTANTS[24:], ids=lambda m: str(m.number))
def test_a_mutant_of_unusual_use_goes_as_its_twin_in_ordinary_use(mutant: Mutant) -> None:
    for shapes in (MIXED, MATRICES):
        one, other = (path(named(t), shapes) for t in (mutant.broken, mutant.correct))
        assert apart(one, other) < 1e-13


def test_complex_adam_takes_two_numbers_for_one_as_torch_does() -> None:
    def walk(make: Make, **settings: Any) -> Tensor:
        parameter = torch.nn.Parameter(torch.view_as_complex(starts(((4, 2),))[0].detach()))
        optimizer = make([parameter], **settings)
        for (gradient,) in gradients(((4, 2),)):
            parameter.grad = torch.view_as_complex(gradient)
            optimizer.step()
        return torch.view_as_real(parameter.detach())

    for settings in ({}, {"amsgrad": True}):
        assert apart(walk(ComplexAdam, **settings), walk(torch.optim.Adam, **settings)) < 1e-12
    assert apart(walk(SquaresComplexNumbers), walk(torch.optim.Adam)) > 1e-3
