"""Profiles over problems: by hand, and the laws that tie them to each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_attainment import made as made_runs
from test_attainment import random_steps
from test_ranks import made

from optbench.analysis import algoperf_score, data_profile, performance_profile

NAN = np.nan


def table(profile: pd.DataFrame, optimizer: str) -> list[tuple[float, float]]:
    part = profile[profile["optimizer"] == optimizer]
    return list(zip(*(part[name].tolist() for name in part.columns[1:3]), strict=True))


def problems(names: list[str], bounded: tuple[str, ...] = ()) -> pd.DataFrame:
    return pd.DataFrame({"problem": names, "minimum_is_bound": [n in bounded for n in names]})


# Performance profiles.


def test_a_performance_profile_by_hand() -> None:
    found = performance_profile(
        made({"a": [10, 40, NAN, NAN], "b": [20, 10, 30, NAN], "c": [NAN, NAN, 300, NAN]})
    )
    # Ratios: a 1, 4; b 2, 1, 1; c 10; the fourth problem is nobody's.
    assert table(found, "a") == [(1, 0.25), (4, 0.5), (10, 0.5)]
    assert table(found, "b") == [(1, 0.5), (2, 0.75), (10, 0.75)]
    assert table(found, "c") == [(1, 0.0), (10, 0.25)]


def test_who_is_not_scored_on_all_problems_is_no_part_of_a_profile() -> None:
    scores = made({"a": [10, 10], "b": [20, 20], "c": [1, 1]})
    scores = scores[~((scores["optimizer"] == "c") & (scores["problem"] == "p1"))]
    assert table(performance_profile(scores), "a") == [(1, 1.0), (2, 1.0)]
    assert algoperf_score(scores)["optimizer"].tolist() == ["a", "b"]


def test_nobody_solves_anything() -> None:
    scores = made({"a": [NAN, NAN], "b": [NAN, NAN]})
    assert table(performance_profile(scores), "a") == [(1, 0.0)]
    assert algoperf_score(scores)["score"].tolist() == [0.0, 0.0]
    assert performance_profile(made({})).empty
    assert algoperf_score(made({})).empty


def test_the_score_of_algoperf_by_hand() -> None:
    found = algoperf_score(made({"a": [10, 10, NAN], "b": [25, 50, 9]}))
    assert found["optimizer"].tolist() == ["a", "b"]
    assert found["score"].tolist() == pytest.approx([2 / 3, (0.5 + 0 + 1) / 3])


def test_the_score_is_the_area_under_the_profile_up_to_four() -> None:
    rng = np.random.default_rng(2)
    steps = {name: np.exp(rng.uniform(2, 5, 15)).round() for name in "abcd"}
    steps["a"][3], steps["b"][:5] = NAN, NAN
    scores = made({name: values.tolist() for name, values in steps.items()})
    score = algoperf_score(scores).set_index("optimizer")["score"]
    assert score.is_monotonic_decreasing
    for optimizer, part in performance_profile(scores).groupby("optimizer"):
        inside = part[part["tau"] < 4]
        widths = np.diff(np.append(inside["tau"], 4.0))
        assert score[optimizer] == pytest.approx(np.sum(inside["share"] * widths) / 3)


def test_scaling_all_steps_changes_no_profile() -> None:
    steps = {"a": [10.0, 40.0, NAN], "b": [20.0, 10.0, 30.0]}
    times8 = {name: [8 * each for each in values] for name, values in steps.items()}
    pd.testing.assert_frame_equal(
        performance_profile(made(steps)), performance_profile(made(times8)), check_exact=True
    )


# Data profiles.


def test_a_data_profile_by_hand() -> None:
    # Targets are 1, 0.1, 0.01 in this order.
    runs, targets = made_runs(
        {
            ("adam", "a"): [[0, 100, 200], [0, 300, NAN]],
            ("adam", "b"): [[0, 50, 60]],
            ("adam", "loose"): [[0]],
            ("adam", "bounded"): [[0, 1, 1]],
        },
        budget={"a": 1000, "b": 100, "loose": 10, "bounded": 10},
    )
    found = data_profile(runs, targets, problems(["a", "b", "loose", "bounded"], ("bounded",)), 0.1)
    assert table(found, "adam") == [(0, 0), (0.1, 0.25), (0.3, 0.5), (0.5, 1.0), (1.0, 1.0)]
    assert set(found["problems"]) == {2}
    assert set(found["left_out"]) == {2}
    tight = data_profile(runs, targets, problems(["a", "b", "loose", "bounded"]), 0.01)
    assert table(tight, "adam")[-1] == (1.0, pytest.approx((0.5 + 1 + 1) / 3))


def test_a_run_that_kept_no_targets_has_not_converged() -> None:
    runs, targets = made_runs({("adam", "a"): [[0, 10], []], ("sgd", "a"): [[], []]})
    found = data_profile(runs, targets, problems(["a"]), 0.1)
    assert table(found, "adam")[-1] == (1.0, 0.5)
    assert table(found, "sgd") == [(0, 0), (1.0, 0.0)]


def test_data_profiles_rise_and_do_not_depend_on_others_or_on_rows() -> None:
    few, many = (made_runs(random_steps(names)) for names in (["b", "d"], ["a", "b", "c", "d"]))
    about = problems(["p0", "p1", "p2"])
    alone, among = data_profile(*few, about, 1e-3), data_profile(*many, about, 1e-3)
    for _, part in among.groupby("optimizer"):
        assert (np.diff(part["value"]) >= 0).all()
    among = among[among["optimizer"].isin(["b", "d"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)
    rng = np.random.default_rng(4)
    runs, targets = few
    mixed = runs.iloc[rng.permutation(len(runs))], targets.iloc[rng.permutation(len(targets))]
    pd.testing.assert_frame_equal(data_profile(*mixed, about, 1e-3), alone, check_exact=True)


def test_no_problem_keeps_that_target() -> None:
    runs, targets = made_runs({("adam", "a"): [[0, 10]]})
    found = data_profile(runs, targets, problems(["a"]), 0.3)
    assert found.empty
    assert found.columns.tolist() == ["optimizer", "share", "value", "problems", "left_out"]
