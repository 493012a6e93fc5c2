"""A rate that changes on the way: against loops with torch's own scheduler, and in any lane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from optbench.engine.identity import key
from optbench.engine.lanes import advance
from optbench.engine.runs import Run, Status, frozen
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Route
from optbench.optimizers import schedules as module
from optbench.optimizers.schedules import factors
from optbench.problems import PROBLEMS
from optbench.runner.packing import pack

F64 = torch.float64
BUDGET = 60
SCHEDULED: list[Mapping[str, Any]] = [
    {"lr": 0.02},
    {"lr": 0.02, "lr_schedule": "cosine"},
    {"lr": 0.02, "lr_schedule": "cosine"},
    {"lr": 0.005, "lr_schedule": "cosine"},
    {"lr": 0.005, "lr_schedule": "step"},
    {"lr": 0.005},
    {"lr": 0.1, "lr_schedule": "warmup-cosine"},
]
SEEDS = [0, 0, 1, 1, 0, 3, 2]


def settings_of(row: Optimizer) -> list[Mapping[str, Any]]:
    return [{**row.defaults, **setting} for setting in SCHEDULED]


# Against loops that a person would write.


def step(o: torch.optim.Optimizer) -> Any:
    return lr_scheduler.StepLR(o, 20, 0.1)


def cosine(o: torch.optim.Optimizer) -> Any:
    return lr_scheduler.CosineAnnealingLR(o, BUDGET)


def warmup(o: torch.optim.Optimizer) -> Any:
    return lr_scheduler.LambdaLR(o, lambda t: min(1.0, (t + 1) / 6))


def then_cosine(o: torch.optim.Optimizer) -> Any:
    rest = lr_scheduler.CosineAnnealingLR(o, BUDGET - 6)
    return lr_scheduler.SequentialLR(o, [warmup(o), rest], [6])


BY_HAND = {"step": step, "cosine": cosine, "warmup": warmup, "warmup-cosine": then_cosine}


@pytest.mark.parametrize("name", [row.name for row in SCHEDULES])
@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("nesterov", lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True)),
        ("adafactor", torch.optim.Adafactor),
    ],
)
def test_a_scheduled_run_is_the_plain_loop_with_torchs_scheduler(
    name: str, optimizer: str, kind: Callable[..., torch.optim.Optimizer]
) -> None:
    problem = PROBLEMS["rosenbrock-20d"].bind(F64, torch.device("cpu"))
    x = torch.nn.Parameter(torch.tensor(problem.start(problem.generators(3)[0])["x"]))
    made = kind([x], lr=1e-4)
    scheduler, losses = BY_HAND[name](made), []
    for _ in range(BUDGET):
        made.zero_grad()
        loss = problem.loss({"x": x[None]}, None)
        loss.sum().backward()
        made.step()
        scheduler.step()
        losses.append(loss.item())
    row = OPTIMIZERS[optimizer]
    told = {**row.defaults, "lr": 1e-4, "lr_schedule": name}
    done = advance(row, PROBLEMS["rosenbrock-20d"], [told], [3], BUDGET, dtype=F64)
    # Not to the bit: torch multiplies a rate from step to step, and rounds each time.
    np.testing.assert_allclose(done.gaps[:-1, 0], losses, rtol=1e-9)
    torch.testing.assert_close(done.params["x"][0], x.detach(), rtol=1e-9, atol=1e-12)


def test_gradient_descent_shrinks_a_coordinate_by_the_product_of_its_factors() -> None:
    problem = PROBLEMS["quadratic"]
    told = [{"lr": 1.5, "lr_schedule": name} for name in ("warmup", "cosine")] + [{"lr": 1.5}]
    done = advance(OPTIMIZERS["sgd"], problem, told, [4] * 3, 50, dtype=F64)
    x0 = problem.start(problem.generators(4)[0])["x"]
    for lane, rates in enumerate((factors("warmup", 50), factors("cosine", 50), [1.0] * 50)):
        shrunk = np.prod([1 - 1.5 * r * problem.eigenvalues for r in rates], axis=0)  # type: ignore[attr-defined]
        np.testing.assert_allclose(done.params["x"][lane], x0 * shrunk, rtol=1e-9, atol=1e-18)


class Noted(torch.optim.SGD):
    """Asks for two gradients a step, and notes the rates that it was given."""

    seen: list[float]

    def step(self, closure: Any = None) -> Any:
        self.seen.append(self.param_groups[0]["lr"])
        with torch.enable_grad():
            closure()
            closure()
        return super().step()


def test_a_closures_rate_goes_by_the_gradient_evaluations_that_are_spent() -> None:
    Noted.seen = []
    row = Optimizer("noted", Noted, {"lr": 1.0}, {}, Route.INSTANCE, "", closure=True)
    told = {"lr": 0.5, "lr_schedule": "cosine"}
    advance(row, PROBLEMS["quadratic"], [told], [0], 40, dtype=F64)
    assert Noted.seen == [0.5 * factor for factor in factors("cosine", 40)[::2]]


# A lane is its own run.

ON = [
    ("adam", "noisy-quadratic", Route.STACK),
    ("momentum", "network-2-3-1", Route.STACK),
    ("sparseadam", "sparse-logistic", Route.STACK),
    ("adafactor", "matrix-completion", Route.GROUPS),
    ("muon", "network-2-3-1", Route.GROUPS),
    ("adam[fused]", "quadratic", Route.GROUPS),
    ("adam", "rosenbrock-2d", Route.INSTANCE),
    ("textbook-adam", "quadratic", Route.INSTANCE),
]


@pytest.mark.proof
@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize(("name", "problem", "route"), ON)
def test_lanes_of_mixed_schedules_and_rates_are_their_own_runs_bit_for_bit(
    name: str, problem: str, route: Route, dtype: torch.dtype
) -> None:
    row, task = OPTIMIZERS[name], PROBLEMS[problem]
    settings = settings_of(row)
    together = advance(row, task, settings, SEEDS, BUDGET, dtype=dtype, route=route)
    ends = []
    for lane, (setting, seed) in enumerate(zip(settings, SEEDS, strict=True)):
        alone = advance(row, task, [setting], [seed], BUDGET, dtype=dtype)
        np.testing.assert_array_equal(together.gaps[:, lane], alone.gaps[:, 0])
        for parameter, value in alone.params.items():
            assert torch.equal(together.params[parameter][lane], value[0]), (parameter, lane)
        ends.append(alone.gaps[-1, 0])
    assert len({*ends}) == len(ends), "each lane's schedule, rate and seed tell"


@pytest.mark.parametrize(("name", "problem", "route"), ON)
def test_a_lane_without_a_schedule_does_not_notice_those_that_have_one(
    name: str, problem: str, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, task = OPTIMIZERS[name], PROBLEMS[problem]
    settings, plain = settings_of(row), [0, 5]
    together = advance(row, task, settings, SEEDS, BUDGET, route=route)
    # Nothing of a schedule is touched where there is none.
    monkeypatch.setattr(module, "factors", None)
    monkeypatch.setattr("optbench.engine.routes.factors", None)
    monkeypatch.setattr("optbench.engine.routes.Driver._scheduled_step", None)
    alone = advance(
        row, task, [settings[k] for k in plain], [SEEDS[k] for k in plain], BUDGET, route=route
    )
    np.testing.assert_array_equal(together.gaps[:, plain], alone.gaps)


@pytest.mark.parametrize("name", ["lbfgs", "adam-swarm"])
def test_an_optimizer_with_a_closure_feels_its_schedule(name: str) -> None:
    row, ends = OPTIMIZERS[name], []
    for schedule in ({}, {"lr_schedule": "cosine"}, {"lr_schedule": "step"}):
        told = {**row.defaults, "lr": 0.1, **schedule}
        ends.append(advance(row, PROBLEMS["beale"], [told], [0], BUDGET).gaps[-1, 0])
    assert len({*ends}) == 3


def test_a_group_of_its_own_rate_keeps_its_proportion() -> None:
    """As torch's schedulers do it: each group from the rate that it begins with."""

    def two(params: Sequence[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
        first, *others = params
        return torch.optim.SGD([{"params": [first], "lr": lr / 10}, {"params": others}], lr=lr)

    row = Optimizer("two", two, {"lr": 0.1}, {}, Route.INSTANCE, "")
    task = PROBLEMS["matrix-completion"]
    told = {"lr": 0.1, "lr_schedule": "cosine"}
    done = advance(row, task, [told], [0], 20, dtype=F64)
    bound = task.bind(F64, torch.device("cpu"))
    start = task.start(task.generators(0)[0])
    params = {k: torch.nn.Parameter(torch.tensor(v[None])) for k, v in start.items()}
    for factor in factors("cosine", 20):
        loss = bound.loss(params, None).sum()
        gradients = torch.autograd.grad(loss, list(params.values()))
        with torch.no_grad():
            for share, p, g in zip((0.01, 0.1), params.values(), gradients, strict=True):
                p.sub_(share * factor * g)
    for name, value in params.items():
        torch.testing.assert_close(done.params[name], value.detach(), rtol=1e-12, atol=1e-15)


# As runs: packed together, told apart, priced alike.


def run(optimizer: str = "adam", budget: int = BUDGET, **settings: Any) -> Run:
    problem = PROBLEMS["quadratic"]
    told = {**OPTIMIZERS[optimizer].defaults, **settings}
    return Run(optimizer, frozen(told), problem.name, problem.version, problem.data, 0, budget)


def test_runs_with_schedules_and_without_share_a_unit_and_equal_settings_stand_together() -> None:
    names = ["cosine", "step"]
    runs = [run(lr=lr) for lr in (0.1, 0.01)]
    runs += [run(lr=lr, lr_schedule=name) for name in names for lr in (0.1, 0.01)]
    (unit,) = pack(runs)
    assert {*unit.runs} == {*runs}
    results = perform(unit)
    assert {r.status for r in results} == {Status.OK}
    assert len({r.final_gap for r in results}) == len(runs)
    for result in results:
        (alone,) = perform(Unit((result.run,)))
        assert alone.final_gap == result.final_gap
        assert alone.hits == result.hits


def test_a_schedule_is_part_of_what_a_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, scheduled = run(lr=0.1), run(lr=0.1, lr_schedule="cosine")
    before = key(plain), key(scheduled), key(run(lr=0.1, lr_schedule="step"))
    assert len({*before}) == 3
    # A schedule that does something else under its name is another run; no other run is.
    monkeypatch.setattr(
        "optbench.engine.identity._rates_of", lambda schedule, budget: f"{schedule} {budget}"
    )
    assert key(plain) == before[0]
    assert key(scheduled) != before[1]


def test_what_a_schedule_does_is_known_by_its_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(rates: tuple[float, ...]) -> str:
        monkeypatch.setattr("optbench.engine.identity.factors", lambda name, budget: rates)
        from optbench.engine.identity import _rates_of

        return _rates_of.__wrapped__("some", 3)

    assert digest((1.0, 0.5, 0.25)) == digest((1.0, 0.5, 0.25 + 1e-12))
    assert digest((1.0, 0.5, 0.25)) != digest((1.0, 0.5, 0.26))


def test_a_step_is_timed_without_its_schedule() -> None:
    """One unit has one price, whoever is in it."""
    (alone,) = perform(Unit((run(lr=0.1, lr_schedule="cosine"),)))
    (plain,) = perform(Unit((run(lr=0.1),)))
    assert alone.seconds_per_step is not None
    assert alone.state_bytes == plain.state_bytes


def test_an_unknown_schedule_fails_its_run_in_words_alone() -> None:
    wrong = run(lr=0.1, lr_schedule="cosin")
    good = run(lr=0.1)
    results = {r.run: r for r in perform(Unit((wrong, good)))}
    assert results[good].status is Status.OK
    assert results[wrong].status is Status.FAILED
    assert "unknown schedule 'cosin'" in (results[wrong].error or "")
