"""Claims about learning rates: how much seeds matter, what a schedule cures, trying or tuning."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from made_evidence import evidence, judge, noisy, ran

from optbench.analysis.claims import Verdict
from optbench.analysis.claims.needed import GENERAL
from optbench.analysis.claims.spread import LARGE, PROBLEMS, SMALL
from optbench.analysis.claims.trying import TRIED

SPREAD = "small-lr-less-random"


def spread(
    small: float, large: float, problems: tuple[str, ...] = PROBLEMS, seeds: int = 10
) -> list[pd.DataFrame]:
    """Final gaps whose logarithms scatter so much at small and at large rates."""
    frames = []
    for i, problem in enumerate(problems):
        for optimizer in ("adam", "sgd"):
            for lr in (*SMALL, 0.032, *LARGE):
                width = small if lr in SMALL else large
                gaps = noisy(0.1, seeds, width, salt=int(1e6 * lr) + i)
                frames.append(ran(optimizer, problem, [np.nan] * seeds, lr=lr, final_gap=gaps))
    return frames


@pytest.mark.parametrize(
    ("small", "large", "verdict"),
    [(0.1, 0.8, Verdict.SUPPORTED), (0.8, 0.1, Verdict.REFUTED)],
)
def test_small_rates_and_the_spread_over_seeds(
    small: float, large: float, verdict: Verdict
) -> None:
    found = judge(SPREAD, spread(small, large))
    assert found.verdict is verdict, found.text
    assert found.effect == pytest.approx(small / large, rel=0.35)
    assert found.detail["low"].lt(found.detail["ratio"]).all()
    assert found.detail["high"].gt(found.detail["ratio"]).all()


def test_spreads_of_less_than_a_percent_are_the_same() -> None:
    found = judge(SPREAD, spread(1e-5, 1e-3))
    assert found.verdict is Verdict.REFUTED
    assert found.effect == pytest.approx(1.0)


def test_few_problems_leave_the_spread_open() -> None:
    found = judge(SPREAD, spread(0.1, 0.8, PROBLEMS[:4]))
    assert found.verdict is Verdict.INCONCLUSIVE


def diverge(frames: list[pd.DataFrame], rates: tuple[float, ...], seeds: range) -> None:
    """Their last gap on record may be any number."""
    for frame in frames:
        if frame["lr"].iloc[0] in rates:
            lost = frame["seed"].isin(seeds)
            frame["status"] = frame["status"].where(~lost, "diverged")


def test_seeds_that_diverge_are_spread() -> None:
    """One of ten that diverges makes a rate random, however alike the others are."""
    frames = spread(0.3, 0.1)
    assert judge(SPREAD, frames).verdict is Verdict.REFUTED
    diverge(frames, LARGE, range(1))
    assert judge(SPREAD, frames).verdict is Verdict.SUPPORTED


def test_a_rate_at_which_all_seeds_diverge_is_no_steady_one() -> None:
    frames = spread(0.1, 0.8)
    diverge(frames, (1.0, 10.0), range(10))
    assert judge(SPREAD, frames).effect == pytest.approx(0.125, rel=0.35)
    diverge(frames, (0.1,), range(10))
    assert judge(SPREAD, frames).verdict is Verdict.INCONCLUSIVE


def test_other_hyperparameters_and_schedules_do_not_enter_the_spread() -> None:
    frames = spread(0.1, 0.8)
    found = judge(SPREAD, frames)
    other = [
        f.assign(final_gap=1.0, default=False, hyperparameters=text, lr_schedule=schedule)
        for f in frames
        for text, schedule in (('{"eps":0.1}', ""), ('{"lr_schedule":"step"}', "step"))
    ]
    again = judge(SPREAD, [*frames, *other])
    assert (again.effect, again.low, again.high) == (found.effect, found.low, found.high)


# Schedules.

CURE = "schedules-cure-gradients"
Off = Callable[[str, float, str, int], bool]


def schedules(off: Off, seeds: int = 10) -> list[pd.DataFrame]:
    """Runs of both optimizers on both problems; ``off(problem, lr, schedule, seed)`` are ill."""
    frames = []
    for optimizer in ("adam", "sgd"):
        for problem in ("cliff", "deep-tanh"):
            for lr in (0.01, 0.1):
                for schedule in ("", "step", "cosine", "warmup"):
                    ill = np.array([off(problem, lr, schedule, s) for s in range(seeds)])
                    frames.append(
                        ran(
                            optimizer,
                            problem,
                            np.where(ill, np.nan, 100.0),
                            lr=lr,
                            lr_schedule=schedule,
                            hyperparameters=json.dumps(
                                {"lr_schedule": schedule} if schedule else {}
                            ),
                            default=not schedule and lr == 0.01,
                            status=np.where(ill & (problem == "cliff"), "diverged", "ok"),
                            final_gap=np.where(ill, 2.0, 0.01),
                        )
                    )
    return frames


@pytest.mark.parametrize(
    ("off", "verdict"),
    [
        # Every run at a constant rate is ill; one schedule helps all.
        (lambda problem, lr, schedule, seed: schedule != "warmup", Verdict.SUPPORTED),
        # It helps one in ten.
        (lambda problem, lr, schedule, seed: schedule != "warmup" or seed > 0, Verdict.REFUTED),
        # It helps on one of the problems.
        (
            lambda problem, lr, schedule, seed: problem == "deep-tanh" or schedule != "warmup",
            Verdict.REFUTED,
        ),
        # Nobody is ill.
        (lambda problem, lr, schedule, seed: False, Verdict.INCONCLUSIVE),
        # The cliff is cured, and the deep network had nothing to be cured of.
        (
            lambda problem, lr, schedule, seed: problem == "cliff" and not schedule,
            Verdict.INCONCLUSIVE,
        ),
    ],
)
def test_schedules_have_to_cure_most_of_both(off: Off, verdict: Verdict) -> None:
    found = judge(CURE, schedules(off), tune=True)
    assert found.verdict is verdict, found.text


@pytest.mark.parametrize(
    ("seeds", "verdict"), [(6, Verdict.INCONCLUSIVE), (8, Verdict.REFUTED), (4, None)]
)
def test_either_problem_may_refute_at_half_of_the_level(
    seeds: int, verdict: Verdict | None
) -> None:
    """Six of six seeds uncured are sure at 5 %, and not at 2.5 %."""
    found = judge(CURE, schedules(lambda problem, *_: problem == "deep-tanh", seeds), tune=True)
    assert found.verdict is (verdict or Verdict.INCONCLUSIVE), found.text


def test_rates_that_throw_off_every_run_do_not_count() -> None:
    """All is lost at 0.1, with a schedule too; at 0.01 a schedule saves what a constant loses."""

    def off(problem: str, lr: float, schedule: str, seed: int) -> bool:
        return lr == 0.1 or schedule == ""

    found = judge(CURE, schedules(off), tune=True)
    assert found.verdict is Verdict.SUPPORTED, found.text
    assert found.detail.set_index("problem").loc["cliff", "ill"] == 20


def test_the_schedule_is_chosen_on_other_seeds() -> None:
    """Each schedule saves the half of the seeds that would choose it, and no other."""

    def off(problem: str, lr: float, schedule: str, seed: int) -> bool:
        return not (schedule == "step" and seed < 5) and not (schedule == "cosine" and seed >= 5)

    found = judge(CURE, schedules(off), tune=True)
    assert found.verdict is Verdict.REFUTED
    assert found.detail["cured"].tolist() == [0, 0]


def test_runs_that_a_schedule_makes_ill_are_counted() -> None:
    def off(problem: str, lr: float, schedule: str, seed: int) -> bool:
        return (seed < 5) if not schedule else seed == 9

    found = judge(CURE, schedules(off), tune=True)
    table = found.detail.set_index("problem")
    # Two rates on the cliff, one chosen on the deep network; two optimizers.
    assert table["made_ill"].to_dict() == {"cliff": 4, "deep-tanh": 2}
    assert table["cured"].to_dict() == {"cliff": 20, "deep-tanh": 10}


def test_without_scheduled_runs_it_says_how_to_make_them() -> None:
    frames = [f for f in schedules(lambda *_: False) if f["lr_schedule"].iloc[0] == ""]
    found = judge(CURE, frames, tune=True)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "--schedule cosine" in found.text


# Trying and tuning.


def tried(default_share: float, tuned_share: float, one: str = "adagrad") -> list[pd.DataFrame]:
    """Targets hit at such a share of the budget: by one default, and by one rate of Adam."""
    frames = []
    for i, problem in enumerate(GENERAL):
        for optimizer in TRIED:
            steps = noisy(1000 * (default_share if optimizer == one else 0.9), salt=i)
            frames.append(ran(optimizer, problem, np.minimum(steps, 1000)))
        for j, lr in enumerate((1e-4, 1e-3, 0.1, 1.0, 3.2, 10.0)):
            steps = noisy(1000 * (tuned_share if j == 2 else 0.9), salt=99 + i + j)
            frames.append(ran("adam", problem, np.minimum(steps, 1000), lr=lr, default=False))
    return frames


@pytest.mark.parametrize(
    ("default_share", "tuned_share", "verdict"),
    [
        (0.1, 0.1, Verdict.SUPPORTED),
        (0.01, 0.1, Verdict.SUPPORTED),  # better is as well and more
        (0.5, 0.05, Verdict.REFUTED),
    ],
)
def test_trying_against_tuning(default_share: float, tuned_share: float, verdict: Verdict) -> None:
    found = judge("trying-equals-tuning", tried(default_share, tuned_share))
    assert found.verdict is verdict, found.text
    # The area of a target at the share s is -log10(s) / 3.
    expected = (np.log10(tuned_share) - np.log10(default_share)) / 3
    assert found.effect == pytest.approx(expected, abs=0.01)


def test_as_many_are_tried_as_tuned() -> None:
    found = judge("trying-equals-tuning", tried(0.1, 0.1))
    assert found.detail["k"].unique().tolist() == [7]
    # The one that is good comes too late in the order to be tried.
    late = judge("trying-equals-tuning", tried(0.01, 0.1, one=TRIED[-1]))
    assert late.verdict is Verdict.REFUTED


def test_the_best_is_chosen_on_other_seeds() -> None:
    """All alike but for luck: no choice that saw the score, no gain by having more to choose."""
    rng = np.random.default_rng(3)
    frames = []
    for problem in GENERAL:
        lucky = 10 ** rng.uniform(0, 3, (len(TRIED), 10))
        frames += [ran(o, problem, lucky[i]) for i, o in enumerate(TRIED)]
        frames += [
            ran("adam", problem, 10 ** rng.uniform(0, 3, 10), lr=lr, default=False)
            for lr in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
        ]
    found = judge("trying-equals-tuning", frames)
    # Steps whose logarithm is uniform over the axis have an area of a half.
    assert found.detail["tried"].mean() == pytest.approx(0.5, abs=0.03)
    assert found.detail["tuned"].mean() == pytest.approx(0.5, abs=0.03)


def test_an_optimizer_that_was_not_tried_is_missing() -> None:
    frames = [f for f in tried(0.1, 0.1) if f["optimizer"].iloc[0] != "radam"]
    found = judge("trying-equals-tuning", frames)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "radam" in found.text


def test_misses_score_nothing() -> None:
    frames = tried(0.1, 0.1)
    for frame in frames:
        if frame["optimizer"].iloc[0] == "adagrad":
            frame["steps_to_target"] = np.nan
    made = evidence(frames)
    assert made.results.targets["step"].isna().any()
    assert judge("trying-equals-tuning", frames).verdict is Verdict.REFUTED
