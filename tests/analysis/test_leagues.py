"""Leagues: what is chosen, on which seeds, and scored on which."""

import json

import numpy as np
import pandas as pd
from synthetic import synthetic_results

from optbench.analysis import default_league, tuned_league


def crafted(rows: list[tuple[float, int, float, float]]) -> pd.DataFrame:
    """Runs of one optimizer on one problem: lr, seed, steps to target, final gap."""
    template = synthetic_results(["adam"], ["quadratic"], [1e-2], seeds=1).runs
    runs = pd.concat([template] * len(rows), ignore_index=True)
    lr, seed, steps, final = zip(*rows, strict=True)
    return runs.assign(
        run=range(1, len(rows) + 1),
        lr=lr,
        seed=seed,
        steps_to_target=steps,
        final_gap=final,
        status=["ok" if np.isfinite(one) else "diverged" for one in final],
        default=[one == 1e-2 for one in lr],
    )


def chosen(rows: list[tuple[float, int, float, float]]) -> float:
    return float(tuned_league(crafted(rows)).choices["lr"].iloc[0])


NAN, INF = np.nan, np.inf


def test_every_seed_is_scored_by_a_choice_that_did_not_see_it() -> None:
    results = synthetic_results(seeds=5)
    league = tuned_league(results.runs)
    for row in league.choices.itertuples():
        halves = ((0, 1), (2, 3, 4))
        assert (row.selection_seeds, row.evaluation_seeds) == halves[:: 1 if row.fold == 0 else -1]
    scored = league.runs.groupby(["optimizer", "problem"])["seed"].agg(sorted)
    assert all(seeds == [0, 1, 2, 3, 4] for seeds in scored)
    chosen_by = league.choices.set_index(["optimizer", "problem", "fold"])
    for row in league.runs.itertuples():
        choice = chosen_by.loc[row.optimizer, row.problem, row.fold]
        assert row.lr == choice["lr"]
        assert row.seed in choice["evaluation_seeds"]


def test_luck_on_the_scored_seeds_does_not_choose() -> None:
    rows = [(0.1, 0, 50.0, 0.0), (0.1, 1, 900.0, 0.0), (0.2, 0, 60.0, 0.0), (0.2, 1, 10.0, 0.0)]
    league = tuned_league(crafted(rows))
    # Seed 0 prefers 0.1 and seed 1 prefers 0.2: each is scored at what the other prefers.
    assert league.choices["lr"].tolist() == [0.1, 0.2]
    assert league.runs.sort_values("seed")["steps_to_target"].tolist() == [60.0, 900.0]


def test_a_run_with_a_schedule_stands_in_no_league() -> None:
    runs = crafted([(lr, s, 10.0 * lr, 0.0) for lr in (0.01, 0.1) for s in (0, 1)])
    runs["lr_schedule"] = ["cosine", "cosine", "", ""]
    league = tuned_league(runs)
    assert league.left_out["reason"].tolist() == ["only one setting was run"]
    assert not len(default_league(runs).runs)


def test_more_seeds_that_reach_it_beat_fewer_steps() -> None:
    fast = [(0.1, 0, 5.0, 0.0), (0.1, 1, NAN, 1.0)]
    sure = [(0.2, 0, 50.0, 0.0), (0.2, 1, 60.0, 0.0)]
    rest = [(lr, seed, 1.0, 0.0) for lr in (0.1, 0.2) for seed in (2, 3)]
    assert chosen(fast + sure + rest) == 0.2


def test_the_final_gap_decides_where_none_reaches_it_and_divergence_is_worst() -> None:
    rows = [(0.1, 0, NAN, INF), (0.2, 0, NAN, 0.5), (0.3, 0, NAN, 0.4), (0.4, 0, NAN, NAN)]
    rest = [(lr, 1, NAN, 1.0) for lr in (0.1, 0.2, 0.3, 0.4)]
    assert chosen(rows + rest) == 0.3


def test_a_best_rate_at_the_edge_is_flagged() -> None:
    rates = (0.1, 0.2, 0.3)
    for best, edge in zip(rates, (True, False, True), strict=True):
        rows = [(lr, seed, 10.0 if lr == best else 20.0, 0.0) for lr in rates for seed in (0, 1)]
        choice = tuned_league(crafted(rows)).choices.iloc[0]
        assert (choice["lr"], choice["at_edge"], choice["tried"]) == (best, edge, 3)


def test_an_interrupted_setting_does_not_take_part() -> None:
    rows = [(lr, seed, 20.0, 0.0) for lr in (0.1, 0.2) for seed in range(4)]
    choice = tuned_league(crafted([*rows, (0.3, 0, 1.0, 0.0)])).choices.iloc[0]
    assert (choice["tried"], choice["lr"]) == (2, 0.1)
    assert choice["evaluation_seeds"] == (2, 3)


def test_extra_seeds_of_one_setting_are_not_used() -> None:
    rows = [(lr, seed, 20.0, 0.0) for lr in (0.1, 0.2, 0.3) for seed in range(2)]
    league = tuned_league(crafted([*rows, (0.1, 2, 1.0, 0.0), (0.1, 3, 1.0, 0.0)]))
    assert sorted(league.runs["seed"]) == [0, 1]


def test_pairs_that_cannot_be_tuned_are_left_out_with_their_reason() -> None:
    one_setting = tuned_league(crafted([(0.1, 0, 5.0, 0.0), (0.1, 1, 5.0, 0.0)]))
    assert one_setting.left_out["reason"].tolist() == ["only one setting was run"]
    one_seed = tuned_league(crafted([(0.1, 0, 5.0, 0.0), (0.2, 0, 5.0, 0.0)]))
    assert "two seeds" in one_seed.left_out["reason"].iloc[0]
    for league in (one_setting, one_seed):
        assert not len(league.runs)
        assert not len(league.choices)


def test_hyperparameters_other_than_the_rate_are_settings_too() -> None:
    runs = crafted([(0.1, s, 30.0, 0.0) for s in (0, 1)] + [(0.1, s, 10.0, 0.0) for s in (0, 1)])
    better = json.dumps({"momentum": 0.9})
    runs["hyperparameters"] = ["{}", "{}", better, better]
    choice = tuned_league(runs).choices.iloc[0]
    assert choice["hyperparameters"] == better
    assert not choice["at_edge"]  # one lr has no edge


def test_an_optimizer_without_a_rate_takes_part() -> None:
    runs = crafted([(0.1, s, 30.0, 0.0) for s in (0, 1)] * 2).assign(lr=np.nan)
    runs["hyperparameters"] = ["{}", "{}", "[1]", "[1]"]
    assert len(tuned_league(runs).runs) == 2


def test_the_default_league_is_the_defaults_on_all_seeds() -> None:
    results = synthetic_results()
    league = default_league(results.runs)
    assert set(league.runs["lr"]) == {1e-2}
    assert set(league.choices["evaluation_seeds"]) == {(0, 1, 2, 3)}
    assert set(league.choices["tried"]) == {1}


def test_of_two_defaults_the_latest_counts() -> None:
    rows = [(lr, seed, 100.0 * lr, 0.0) for lr in (0.1, 0.2) for seed in (0, 1)]
    runs = crafted(rows).assign(default=True)
    league = default_league(runs)
    assert league.runs["lr"].tolist() == [0.2, 0.2]
    assert league.choices["lr"].tolist() == [0.2]
    earlier = default_league(runs.assign(run=[7, 8, 1, 2]))
    assert earlier.runs["lr"].tolist() == [0.1, 0.1]


def test_who_was_not_run_with_defaults_is_left_out_of_that_league() -> None:
    results = synthetic_results()
    runs = results.runs.assign(default=results.runs["default"] & (results.runs["base"] != "sgd"))
    league = default_league(runs)
    assert "sgd" not in set(league.runs["optimizer"])
    assert set(league.left_out["optimizer"]) == {"sgd"}
    assert len(default_league(runs.assign(default=False)).runs) == 0
