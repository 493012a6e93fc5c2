"""The runtime distribution, its area and their intervals: by hand, against SciPy, by their laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import trim_mean

from optbench.analysis import areas, attainment, run_areas, seed_weights

FIXED = settings(deadline=None, derandomize=True, database=None, max_examples=25)
NAN = np.nan

Steps = Mapping[tuple[str, str], Sequence[Sequence[float]]]


def made(steps: Steps, budget: int | Mapping[str, int] = 1000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and targets from the steps to each target: by optimizer and problem, a row a seed."""
    runs, targets = [], []
    for (optimizer, problem), seeds in steps.items():
        for seed, hits in enumerate(seeds):
            spent = budget if isinstance(budget, int) else budget[problem]
            runs.append((len(runs), optimizer, problem, seed, spent))
            targets += [(runs[-1][0], 10.0**-k, hit) for k, hit in enumerate(hits)]
    return (
        pd.DataFrame(runs, columns=["run", "optimizer", "problem", "seed", "budget"]),
        pd.DataFrame(targets, columns=["run", "target", "step"]).astype({"step": float}),
    )


def random_steps(optimizers: Sequence[str], problems: int = 3, seeds: int = 4) -> Steps:
    """An optimizer's steps depend on its name alone."""
    found = {}
    for optimizer in optimizers:
        rng = np.random.default_rng([ord(letter) for letter in optimizer])
        hits = np.exp(rng.uniform(-1, 8, (problems, seeds, 5))).round()
        hits = np.where(hits > 1000, NAN, np.sort(hits, axis=-1))
        found.update({(optimizer, f"p{k}"): hits[k].tolist() for k in range(problems)})
    return found


def at(curve: pd.DataFrame, share: float) -> float:
    """The value of a curve at or just before a share."""
    return float(curve[curve["share"] <= share * (1 + 1e-9)]["value"].iloc[-1])


# The curve.


def test_a_curve_by_hand_with_each_problem_weighing_the_same() -> None:
    runs, targets = made(
        {
            ("adam", "a"): [[10, 100], [100, NAN]],
            ("adam", "b"): [[50]],
        },
        budget={"a": 1000, "b": 50},
    )
    curve = attainment(runs, targets)
    assert at(curve, 0.009) == 0
    assert at(curve, 0.01) == pytest.approx(1 / 4 / 2)
    assert at(curve, 0.099) == pytest.approx(1 / 4 / 2)
    assert at(curve, 0.1) == pytest.approx(3 / 4 / 2)
    assert at(curve, 0.999) == pytest.approx(3 / 4 / 2)
    # The one target of b, at the end of its budget, weighs as much as the four of a.
    assert at(curve, 1.0) == pytest.approx((3 / 4 + 1) / 2)


def test_what_is_there_at_the_start_counts_where_the_axis_begins() -> None:
    curve = attainment(*made({("adam", "a"): [[0, 0.5]]}))
    assert curve["share"].iloc[0] == 1e-3
    assert curve["share"].iloc[-1] == 1.0
    assert (curve["value"] == 1).all()


def test_a_run_that_kept_no_targets_reached_none() -> None:
    runs, targets = made({("adam", "a"): [[10], []]})
    assert attainment(runs, targets)["value"].iloc[-1] == 0.5
    assert run_areas(runs, targets).tolist() == [pytest.approx(2 / 3), 0.0]


def test_targets_of_other_runs_are_not_looked_at() -> None:
    runs, targets = made({("adam", "a"): [[10]], ("sgd", "a"): [[1]]})
    adam = runs[runs["optimizer"] == "adam"]
    assert run_areas(adam, targets).tolist() == [pytest.approx(2 / 3)]
    assert attainment(adam, targets)["value"].sum() == attainment(adam, targets[:1])["value"].sum()


def test_the_band_is_the_bootstrap_of_seeds_within_problems() -> None:
    steps = random_steps(["adam"])
    runs, targets = made(steps)
    curve = attainment(runs, targets, points=7)
    drawn = []
    for draw in range(2000):
        per_problem = []
        for (_, problem), seeds in steps.items():
            counts = (seed_weights(problem, len(seeds))[draw] * len(seeds)).round().astype(int)
            hits = np.repeat(np.asarray(seeds), counts, axis=0)
            per_problem.append(
                [np.mean(hits / 1000 <= s * (1 + 1e-9)) for s in np.logspace(-3, 0, 7)]
            )
        drawn.append(np.mean(per_problem, axis=0))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(curve["low"], low, atol=1e-12)
    np.testing.assert_allclose(curve["high"], high, atol=1e-12)
    assert (curve["high"] > curve["low"]).any()


@FIXED
@given(
    hits=st.lists(
        st.lists(st.one_of(st.integers(0, 1000), st.just(NAN)), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_a_curve_and_its_band_only_rise(hits: list[list[float]]) -> None:
    curve = attainment(*made({("adam", "a"): hits, ("adam", "b"): hits[::-1]}))
    for column in ("value", "low", "high"):
        values = curve[column].dropna().to_numpy()
        assert (np.diff(values) >= -1e-12).all()
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
    reached = np.mean([np.mean(~np.isnan(each)) for each in hits])
    assert curve["value"].iloc[-1] == pytest.approx(reached)


# The area.


def test_the_area_is_that_under_the_curve() -> None:
    runs, targets = made(random_steps(["adam", "sgd"]))
    found = areas(runs, targets).set_index("optimizer")["area"]
    curve = attainment(runs, targets, points=3_001)
    for optimizer, part in curve.groupby("optimizer"):
        under = trapezoid(part["value"], np.log10(part["share"])) / 3
        assert found[optimizer] == pytest.approx(under, abs=5e-4)


def test_the_area_of_a_run_by_hand() -> None:
    runs, targets = made({("adam", "a"): [[0, 1, 10, 100, 1000, NAN]]})
    assert run_areas(runs, targets).item() == pytest.approx((1 + 1 + 2 / 3 + 1 / 3) / 6)


@pytest.mark.parametrize(("problems", "seeds"), [(1, 3), (3, 4), (5, 5), (2, 10)])
def test_the_interquartile_mean_is_that_of_scipy(problems: int, seeds: int) -> None:
    runs, targets = made(random_steps(["adam"], problems, seeds))
    each = run_areas(runs, targets).to_numpy()
    found = areas(runs, targets).iloc[0]
    assert found["iqm"] == pytest.approx(trim_mean(each, 0.25))
    assert found["area"] == pytest.approx(each.mean())
    assert found["problems"] == problems

    parts = np.split(each, problems)
    counts = [seed_weights(f"p{k}", seeds) * seeds for k in range(problems)]
    drawn = [
        np.concatenate(
            [
                np.repeat(part, count[draw].round().astype(int))
                for part, count in zip(parts, counts, strict=True)
            ]
        )
        for draw in range(2000)
    ]
    ends = [0.025, 0.975]
    low, high = np.quantile([trim_mean(values, 0.25) for values in drawn], ends)
    assert (found["iqm_low"], found["iqm_high"]) == (pytest.approx(low), pytest.approx(high))
    low, high = np.quantile([values.mean() for values in drawn], ends)
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    """Eight problems of ten seeds. A percentile interval is a little short with so few seeds."""
    rng = np.random.default_rng(11)
    logs = rng.uniform(0, 2.5, (8, 1, 1))
    times, covered = 200, 0
    for _ in range(times):
        shares = -(logs + rng.uniform(0, 0.5, (8, 10, 1)))
        steps = {("adam", f"p{k}"): (1e6 * 10 ** shares[k]).tolist() for k in range(8)}
        found = areas(*made(steps, budget=10**6)).iloc[0]
        covered += found["low"] <= (logs.mean() + 0.25) / 3 <= found["high"]
    assert 0.90 <= covered / times <= 0.985


def test_one_seed_a_problem_gives_no_interval() -> None:
    runs, targets = made(random_steps(["adam"], seeds=1))
    found = areas(runs, targets).iloc[0]
    assert found[["low", "high", "iqm_low", "iqm_high"]].isna().all()
    assert np.isfinite(found[["area", "iqm"]].astype(float)).all()
    assert attainment(runs, targets)[["low", "high"]].isna().all(axis=None)


# What must not matter.


def test_another_optimizer_changes_no_bit_of_the_others() -> None:
    few, many = (made(random_steps(names)) for names in (["b", "d"], ["a", "b", "c", "d", "e"]))
    for function in (attainment, areas):
        alone, among = function(*few), function(*many)
        among = among[among["optimizer"].isin(["b", "d"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, among, check_exact=True)


def test_the_order_of_rows_changes_no_bit() -> None:
    runs, targets = made(random_steps(["a", "b"]))
    rng = np.random.default_rng(3)
    mixed = runs.iloc[rng.permutation(len(runs))], targets.iloc[rng.permutation(len(targets))]
    for function in (attainment, areas):
        pd.testing.assert_frame_equal(function(runs, targets), function(*mixed), check_exact=True)
    expected = run_areas(runs, targets)
    pd.testing.assert_series_equal(run_areas(*mixed).sort_index(), expected, check_exact=True)


@pytest.mark.parametrize("factor", [3, 10, 64])
def test_steps_and_budgets_that_grow_together_change_nothing(factor: int) -> None:
    runs, targets = made(random_steps(["a", "b"]))
    longer = runs.assign(budget=runs["budget"] * factor)
    steps = targets.assign(step=targets["step"] * factor)
    for function in (attainment, areas):
        pd.testing.assert_frame_equal(
            function(runs, targets), function(longer, steps), check_exact=True
        )


def test_nothing_gives_an_empty_frame() -> None:
    runs, targets = made({("adam", "a"): [[1]]})
    assert attainment(runs[:0], targets).columns.tolist() == [
        *("optimizer", "share", "value", "low", "high")
    ]
    assert len(areas(runs[:0], targets)) == 0
