"""The best of k: against all subsets, the tuned league, and by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from synthetic import synthetic_results

from optbench.analysis import best_of_defaults, best_of_k, run_areas, tuned_league
from optbench.analysis.tuning import best_rank

RATES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def crafted(
    steps: dict[tuple[str, float], list[float]], problem: str = "a"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and targets of one problem, budget 1000: by optimizer and lr, steps a seed."""
    rows = [
        (o, o, problem, lr, lr == 0.1, seed, hit)
        for (o, lr), hits in steps.items()
        for seed, hit in enumerate(hits)
    ]
    names = ["optimizer", "base", "problem", "lr", "default", "seed", "steps_to_target"]
    same = {"variant": "", "hyperparameters": "{}", "lr_schedule": "", "status": "ok"}
    runs = pd.DataFrame(rows, columns=names).assign(
        run=range(len(rows)), budget=1000, final_gap=1.0, **same
    )
    targets = pd.DataFrame({"run": runs["run"], "target": 0.1, "step": runs["steps_to_target"]})
    return runs, targets


@pytest.mark.parametrize("settings", [1, 2, 5, 7])
def test_the_chances_are_those_over_all_subsets(settings: int) -> None:
    chances = best_rank(settings)
    for k in range(1, settings + 1):
        best = [min(subset) for subset in combinations(range(settings), k)]
        expected = np.bincount(best, minlength=settings) / len(best)
        np.testing.assert_allclose(chances[k - 1], expected, atol=1e-15)
    np.testing.assert_allclose(chances.sum(axis=1), 1)


def test_by_hand_one_half_ranks_and_the_other_scores() -> None:
    runs, targets = crafted(
        {
            # The areas of 1, 10, 100 and 1000 steps are 1, 2/3, 1/3 and 0.
            ("adam", 0.1): [1, 1000],
            ("adam", 0.2): [10, 1],
            ("adam", 0.3): [100, 10],
        }
    )
    found = best_of_k(runs, targets)
    assert found["k"].tolist() == [1, 2, 3]
    # Seed 0 ranks 0.1, 0.2, 0.3, and seed 1 scores them 0, 1, 2/3; seed 1 ranks 0.2, 0.3, 0.1,
    # and seed 0 scores these 2/3, 1/3, 1.
    first = [(0 + 1 + 2 / 3) / 3, (2 * 0 + 1) / 3, 0]
    second = [(2 / 3 + 1 / 3 + 1) / 3, (2 * 2 / 3 + 1 / 3) / 3, 2 / 3]
    assert found["value"].tolist() == pytest.approx(np.mean([first, second], axis=0).tolist())
    assert found["problems"].tolist() == [1, 1, 1]


def test_the_whole_grid_is_the_tuned_league_and_one_try_is_the_mean_of_it() -> None:
    results = synthetic_results(rates=RATES, seeds=6)
    found = best_of_k(results.runs, results.targets).set_index(["optimizer", "k"])["value"]
    league = tuned_league(results.runs).runs
    tuned = run_areas(league, results.targets).groupby(league["optimizer"].to_numpy()).mean()
    every = run_areas(results.runs, results.targets)
    every = every.groupby(results.runs["optimizer"].to_numpy()).mean()
    for optimizer in tuned.index:
        assert found[optimizer, len(RATES)] == pytest.approx(tuned[optimizer])
        assert found[optimizer, 1] == pytest.approx(every[optimizer])
        assert found[optimizer, len(RATES)] > found[optimizer, 1] + 0.05


def test_settings_that_differ_by_luck_alone_gain_nothing() -> None:
    """Scored on the seeds that rank it, the best of thirty would look far better than one."""
    rng = np.random.default_rng(1)
    rates = np.geomspace(1e-4, 1, 30)
    parts = []
    for problem in [f"p{k}" for k in range(40)]:
        hits = np.exp(rng.uniform(0, 6.5, (30, 4))).round()
        parts.append(crafted({("adam", lr): h for lr, h in zip(rates, hits, strict=True)}, problem))
    for offset, (runs, targets) in enumerate(parts):
        runs["run"] += 1000 * offset
        targets["run"] += 1000 * offset
    runs, targets = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    value = best_of_k(runs, targets).set_index("k")["value"]
    spread = run_areas(runs, targets).std()
    assert abs(value[30] - value[1]) < 4 * spread / np.sqrt(40 * 4)


def test_a_smaller_grid_is_what_it_is() -> None:
    one = crafted({("adam", lr): [10, 10] for lr in (0.1, 0.2)}, "a")
    other = crafted({("adam", lr): [h, h] for lr, h in ((0.1, 1), (0.2, 10), (0.3, 100))}, "b")
    other = tuple(frame.assign(run=frame["run"] + 100) for frame in other)
    runs, targets = (pd.concat(pair, ignore_index=True) for pair in zip(one, other, strict=True))
    found = best_of_k(runs, targets)
    b = [2 / 3, (2 * 1 + 2 / 3) / 3, 1]
    assert found["value"].tolist() == pytest.approx([(2 / 3 + each) / 2 for each in b])
    assert set(found["problems"]) == {2}


def test_any_optimizer_at_its_defaults() -> None:
    # Only lr 0.1 is a default.
    runs, targets = crafted(
        {
            ("adam", 0.1): [10, 10],
            ("sgd", 0.1): [1, 100],
            ("adam", 0.2): [1, 1],
            ("lion", 0.2): [1, 1],
        }
    )
    variant = runs[(runs["optimizer"] == "adam") & runs["default"]]
    variant = variant.assign(optimizer="adam[fused]", variant="fused", run=[100, 101])
    runs = pd.concat([runs, variant], ignore_index=True)
    found = best_of_defaults(runs, targets)
    assert found["k"].tolist() == [1, 2]
    # Seed 0 takes sgd, scored 1/3; seed 1 takes adam, scored 2/3.
    assert found["value"].tolist() == pytest.approx([(2 / 3 + (1 + 1 / 3) / 2) / 2, 0.5])
    assert found["problems"].tolist() == [1, 1]


def test_who_has_no_defaults_on_a_problem_is_not_tried() -> None:
    runs, targets = crafted({(o, 0.1): [10, 10] for o in ("adam", "sgd", "lion")})
    more, others = crafted({(o, 0.1): [10, 10] for o in ("adam", "sgd")}, "b")
    runs = pd.concat([runs, more.assign(run=more["run"] + 100)], ignore_index=True)
    targets = pd.concat([targets, others.assign(run=others["run"] + 100)], ignore_index=True)
    found = best_of_defaults(runs, targets)
    assert found["k"].tolist() == [1, 2]
    assert found["problems"].tolist() == [2, 2]


def test_adding_an_optimizer_and_mixing_rows_change_no_bit() -> None:
    results = synthetic_results(rates=RATES, seeds=9)
    rng = np.random.default_rng(2)
    alone = best_of_k(results.runs[results.runs["optimizer"] == "momentum"], results.targets)
    mixed = [frame.iloc[rng.permutation(len(frame))] for frame in (results.runs, results.targets)]
    among = best_of_k(*mixed)
    among = among[among["optimizer"] == "momentum"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)


def test_scheduled_runs_are_no_settings() -> None:
    results = synthetic_results(rates=RATES)
    scheduled = results.runs.assign(
        lr_schedule="cosine",
        hyperparameters='{"lr_schedule": "cosine"}',
        run=results.runs["run"] + 9999,
    )
    both = pd.concat([results.runs, scheduled], ignore_index=True)
    for function in (best_of_k, best_of_defaults):
        pd.testing.assert_frame_equal(
            function(both, results.targets), function(results.runs, results.targets)
        )


def test_nothing_to_choose_from() -> None:
    runs, targets = crafted({("adam", 0.1): [10, 10]})
    assert best_of_k(runs, targets).columns.tolist() == ["optimizer", "k", "value", "problems"]
    assert best_of_k(runs, targets).empty
    assert best_of_defaults(runs, targets).empty
    assert best_of_k(runs[:0], targets).empty
