"""Every known answer holds, and fails for a method that differs by one change."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import optim

from optbench.known_answers import KNOWN_ANSWERS, quadratics, solutions, statements, steps, table
from optbench.known_answers.answer import (
    Answer,
    Case,
    Kind,
    KnownAnswer,
    Make,
    Tolerance,
    registered,
)
from optbench.optimizers.lion import Lion
from optbench.optimizers.muon import MuonWithAdamW
from optbench.optimizers.signum import Signum

ROWS = {row.name: row for row in KNOWN_ANSWERS}
PAGE = Path(__file__).parents[2] / "docs" / "known-answers.md"


class PlainAdam(optim.Optimizer):
    """Algorithm 1 of Kingma and Ba in four lines, with a place for each mistake."""

    def __init__(
        self,
        params: Any,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        mistake: str = "",
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})
        self.mistake = mistake

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                zero = torch.zeros_like(p)
                state = self.state[p] or {"t": 0, "m": zero, "v": zero}
                self.state[p] = state
                g = p.grad
                state["t"] += 1
                t = state["t"]
                state["m"] = beta1 * state["m"] + (1 - beta1) * g
                state["v"] = beta2 * state["v"] + (1 - beta2) * g * g
                mhat, vhat = state["m"] / (1 - beta1**t), state["v"] / (1 - beta2**t)
                eps = group["eps"]
                match self.mistake:
                    case "no bias correction":
                        mhat, vhat = state["m"], state["v"]
                    case "bias of v not corrected":
                        vhat = state["v"]
                    case "eps scaled by the bias correction":  # pytorch#2060
                        eps = eps / math.sqrt(1 - beta2**t)
                    case "eps floor":
                        eps = max(eps, 1e-3)
                    case "a draw of its own in each worker":  # as of a stochastic rounding
                        mhat = mhat * (1 + 1e-6 * torch.rand_like(p))
                root = vhat.sqrt() + eps
                if self.mistake == "eps inside the root":
                    root = (vhat + eps**2).sqrt()
                p.sub_(group["lr"] * mhat / root)


class SoftSign(Signum):
    """A sign that is not quite one where the momentum is small."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * torch.tanh(1e3 * p.grad))


def scaled(base: Make, factor: float) -> Make:
    return lambda params, lr, **rest: base(params, lr=factor * lr, **rest)


def fixed(base: Make, **changes: Any) -> Make:
    """The method with some hyperparameters that the caller cannot change."""
    return lambda params, **rest: base(params, **{**rest, **changes})


def plain(mistake: str) -> Make:
    return fixed(PlainAdam, mistake=mistake)


def without_eps(base: Make) -> Make:
    return lambda params, eps=0.0, **rest: base(params, **rest)


lbfgs = registered("lbfgs")
sgd = optim.SGD

# fmt: off
TWINS: dict[str, dict[str, Make]] = {
    "sgd-on-a-quadratic": {
        "lr 0.1 % larger": scaled(sgd, 1.001),
        "decay of 1e-9": fixed(sgd, weight_decay=1e-9),
        "momentum of 1e-9": fixed(sgd, momentum=1e-9)},
    "sgd-divergence-threshold": {"lr 0.1 % larger": scaled(sgd, 1.001)},
    "heavy-ball-rate": {
        "dampening": fixed(sgd, dampening=0.02),
        "Nesterov's": fixed(sgd, nesterov=True),
        "lr 2 % larger": scaled(sgd, 1.02),
        "no momentum": fixed(sgd, momentum=0.0)},
    "sgd-stationary-variance": {
        "lr 1 % larger": scaled(sgd, 1.01),
        "momentum at the same drift": fixed(scaled(sgd, 0.5), momentum=0.5)},
    "adam-first-step": {
        **{m: plain(m) for m in ("no bias correction", "eps inside the root",
                                 "eps scaled by the bias correction", "eps floor")},
        "NAdam": optim.NAdam},
    "adam-step-bound": {
        **{m: plain(m) for m in ("no bias correction", "bias of v not corrected")},
        "shorter memory": fixed(optim.Adam, betas=(0.9, 0.99)),
        "Nesterov's": optim.NAdam},
    "adam-scale-invariance": {
        "eps floor": plain("eps floor"),
        "eps of 1e-8": fixed(optim.Adam, eps=1e-8),
        "coupled decay": fixed(optim.Adam, weight_decay=1e-6)},
    "adam-shards": {"a draw of its own in each worker": plain("a draw of its own in each worker")},
    "adagrad-constant-gradient": {
        "eps of 1e-10": fixed(optim.Adagrad, eps=1e-10),
        "accumulator from 1e-6": fixed(optim.Adagrad, initial_accumulator_value=1e-6),
        "decay of lr": fixed(optim.Adagrad, lr_decay=1e-9),
        "forgets": optim.RMSprop},
    "lion-moves-lr": {
        "decay": fixed(Lion, weight_decay=1e-9),
        "soft sign": SoftSign,
        "lr rounded to float32": lambda params, lr: Lion(params, lr=float(torch.tensor(lr)))},
    "signum-moves-lr": {
        "decay": fixed(Signum, weight_decay=1e-9),
        "soft sign": SoftSign},
    "muon-band-torch": {
        "three iterations": fixed(optim.Muon, ns_steps=3),
        "other coefficients": fixed(optim.Muon, ns_coefficients=(1.5, -0.5, 0.0)),
        "AdamW's shape scale": MuonWithAdamW,
        "shape scale upside down": lambda params, lr, **rest: optim.Muon(
            params, lr=lr * math.sqrt(min(1.0, params[0].shape[0] / params[0].shape[1])), **rest)},
    "muon-band": {
        "three iterations": fixed(MuonWithAdamW, ns_steps=3),
        "Jordan's shape scale": optim.Muon,
        "rows for the larger side": lambda params, lr, **rest: MuonWithAdamW(
            params, lr=lr * math.sqrt(params[0].shape[0] / max(params[0].shape)), **rest)},
    "adam-fails-on-reddi": {"AMSGrad": registered("amsgrad")},
    "amsgrad-solves-reddi": {"Adam": registered("adam")},
    "sgd-minimum-norm": {
        "Adam": optim.Adam,
        "decay of 1e-6": fixed(sgd, weight_decay=1e-6)},
    "adam-sign-solution": {
        "SGD": without_eps(scaled(sgd, 100.0)),
        "eps floor": plain("eps floor")},
    "rmsprop-sign-solution": {
        "SGD": without_eps(scaled(sgd, 100.0)),
        "eps of 1e-3": fixed(optim.RMSprop, eps=1e-3)},
    "adagrad-sign-solution": {
        "SGD": without_eps(sgd),
        "accumulator from 1e-3": fixed(optim.Adagrad, initial_accumulator_value=1e-3)},
    "lbfgs-newton-on-a-line": {
        "lr 1 % smaller": scaled(lbfgs, 0.99),
        "one iteration": fixed(lbfgs, max_iter=1)},
    "lbfgs-against-scipy": {
        "one pair of differences": fixed(lbfgs, history_size=1),
        "no line search": fixed(lbfgs, line_search_fn=None)},
}
# fmt: on


@pytest.mark.proof
@pytest.mark.parametrize("row", KNOWN_ANSWERS, ids=lambda row: row.name)
def test_what_theory_says_is_measured(row: KnownAnswer) -> None:
    answers = row.measure()
    assert answers
    for answer in answers:
        assert answer.holds, (
            f"{answer.name}, {answer.setting}: {answer.statement} Expected {answer.expected!r}, "
            f"measured {answer.measured!r}, tolerance {answer.tolerance} "
            f"({answer.tolerance.why})"
        )


SLOW = {
    ("adam-fails-on-reddi", "AMSGrad"),
    ("amsgrad-solves-reddi", "Adam"),
    ("lbfgs-against-scipy", "no line search"),
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param(name, change, marks=[pytest.mark.proof] if (name, change) in SLOW else [])
        for name, twins in TWINS.items()
        for change in twins
    ],
)
def test_a_method_that_differs_by_one_change_fails(name: str, change: str) -> None:
    answers = ROWS[name].measure(TWINS[name][change], label=change)
    assert not all(answer.holds for answer in answers), table(answers)


def test_every_known_answer_has_a_disturbed_twin() -> None:
    assert set(TWINS) == set(ROWS)
    assert all(TWINS.values())


@pytest.mark.parametrize(
    "name",
    [
        *("adam-first-step", "adam-step-bound", "adam-scale-invariance", "adam-shards"),
        "adam-sign-solution",
    ],
)
def test_the_twins_fail_by_their_mistake_and_not_by_their_writing(name: str) -> None:
    assert all(answer.holds for answer in ROWS[name].measure(PlainAdam))


@pytest.mark.parametrize(
    "departure",
    [
        lambda make: steps.adam_shards(make, lambda gradients: gradients.sum(0)),
        lambda make: steps.adam_shards(make, lambda gradients: gradients[0].clone()),
        lambda make: steps.adam_shards(make, average_after=True),
    ],
    ids=["sums", "first shard only", "averages after the step"],
)
def test_workers_that_share_otherwise_leave_the_path(
    departure: Callable[[Make], Sequence[Case]],
) -> None:
    for case in departure(registered("adam")):
        assert case.measured > 1e6 * case.tolerance.value, case


def test_shards_differ_in_bits() -> None:
    assert any(case.measured > 0 for case in steps.adam_shards(registered("adam")))


def test_the_step_bound_is_the_limit_that_the_row_states() -> None:
    b1, b2 = steps.BETAS
    limit = (1 - b1) / math.sqrt((1 - b2) * (1 - b1**2 / b2))
    assert steps.adam_largest_step(100_000) == pytest.approx(limit, rel=1e-9)
    assert limit == pytest.approx(7.27, abs=0.01)
    assert limit > (1 - b1) / math.sqrt(1 - b2)
    assert steps.adam_largest_step(1) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.proof
@pytest.mark.parametrize(
    "measure",
    [
        lambda seed: quadratics.stationary_variance(registered("sgd"), seed),
        lambda seed: quadratics.heavy_ball(registered("momentum"), seed),
        lambda seed: steps.muon_original_scale(registered("torch.optim:Muon"), seed),
        lambda seed: solutions.reddi_wrong_end(registered("adam"), range(8 * seed, 8 * seed + 8)),
    ],
    ids=["variance", "heavy-ball", "muon", "reddi"],
)
def test_what_is_drawn_at_random_holds_for_other_draws(measure: Callable[[int], Any]) -> None:
    for seed in range(1, 4):
        for case in measure(seed):
            assert case.used < 0.8, f"seed {seed}, {case}"


# What `holds` means.


def answer(expected: float, measured: float, value: float, kind: Kind) -> Answer:
    return Answer("s", expected, measured, Tolerance(value, kind, "why"), "n", "o", "t", "c")


@pytest.mark.parametrize(
    ("expected", "measured", "value", "kind", "holds"),
    [
        (0.0, 1e-3, 1e-3, Kind.ABSOLUTE, True),
        (0.0, 1.1e-3, 1e-3, Kind.ABSOLUTE, False),
        (-200.0, -199.0, 0.01, Kind.RELATIVE, True),
        (-200.0, -197.0, 0.01, Kind.RELATIVE, False),
        (3.0, 3.05, 0.02, Kind.STATISTICAL, True),
        (3.0, 2.9, 0.02, Kind.STATISTICAL, False),
        (1.0, -5.0, 0.0, Kind.BOUND, True),
        (1.0, 1.0, 0.0, Kind.BOUND, True),
        (1.0, 1.1, 0.05, Kind.BOUND, False),
        (0.0, 0.5, 1.0, Kind.BOUND, True),
        (0.0, 0.0, 0.0, Kind.ABSOLUTE, True),
        (0.0, 1.0, 0.0, Kind.ABSOLUTE, False),
        (0.0, math.nan, 1.0, Kind.ABSOLUTE, False),
        (1.0, math.nan, 1.0, Kind.BOUND, False),
        (1.0, math.inf, 1.0, Kind.RELATIVE, False),
    ],
)
def test_an_answer_holds_within_its_tolerance(
    expected: float, measured: float, value: float, kind: Kind, holds: bool
) -> None:
    assert answer(expected, measured, value, kind).holds is holds


# The page.


def test_the_page_states_every_known_answer_and_gives_its_numbers() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert statements(KNOWN_ANSWERS) in text, "regenerate the page, as it says itself"
    numbers = text.split(statements(KNOWN_ANSWERS))[1]
    named = re.findall(r"^\| ([a-z0-9-]+) \|", numbers, flags=re.MULTILINE)
    assert list(dict.fromkeys(name for name in named if name != "name")) == list(ROWS)


def test_the_tables_escape_what_would_end_a_cell() -> None:
    for text in (
        statements([ROWS["sgd-divergence-threshold"]]),
        table([answer(0.0, 1.0, 2.0, Kind.BOUND)]),
    ):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()}
        assert len(widths) == 1
