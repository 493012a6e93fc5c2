"""The baseline against each: counts by hand, intervals and words on made-up truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from optbench.analysis import against, probability_of_improvement, seed_weights

NAN, INF = np.nan, np.inf


def made(steps: Mapping[tuple[str, str], Sequence[float]]) -> pd.DataFrame:
    """Runs from steps to target: by optimizer and problem, one a seed."""
    rows = [
        (optimizer, optimizer, "", problem, seed, step)
        for (optimizer, problem), seeds in steps.items()
        for seed, step in enumerate(seeds)
    ]
    names = ["optimizer", "base", "variant", "problem", "seed", "steps_to_target"]
    return pd.DataFrame(rows, columns=names).assign(run=range(len(rows)))


def noisy(
    rng: np.random.Generator, factor: float, problems: int = 6, seeds: int = 10
) -> pd.DataFrame:
    """sgd takes ``factor`` times adam's steps, but for the noise of each run; some miss."""
    steps = {}
    for k in range(problems):
        start = rng.normal(0, 0.5, seeds)  # shared by the pair, as starts are
        for optimizer, slower in (("adam", 1.0), ("sgd", factor)):
            noise = rng.normal(0, 0.1 + 0.1 * k, seeds)
            hits = 100 * 4**k * slower * np.exp(start + noise)
            steps[optimizer, f"p{k}"] = np.where(rng.random(seeds) < 0.1, NAN, hits).tolist()
    return made(steps)


def overall(runs: pd.DataFrame, optimizer: str = "sgd") -> pd.Series:
    table = against(runs, "adam").set_index(["optimizer", "problem"])
    return table.loc[(optimizer, "")]


# Counts and ratios.


def test_pairs_by_hand() -> None:
    runs = made(
        {
            ("adam", "a"): [10, 10, 10, NAN, NAN, 0],
            ("sgd", "a"): [20, 5, 10, 7, NAN, 1],
            ("adam", "b"): [NAN],
            ("sgd", "b"): [NAN],
        }
    )
    table = against(runs, "adam").set_index("problem")
    assert table.index.tolist() == ["", "a", "b"]
    a = table.loc["a"]
    counts = ["pairs", "both_missed", "won", "lost", "tied"]
    assert a[counts].tolist() == [5, 1, 2, 1, 2]  # 0 and 1 step are one step each
    assert a["ratio"] == 1.0
    assert table.loc["", counts].tolist() == [5, 2, 2, 1, 2]
    assert table.loc["b", counts].tolist() == [0, 1, 0, 0, 0]
    assert table.loc["b", ["ratio", "low", "high"]].isna().all()
    assert table.loc["b", "word"] == "inconclusive"


def test_a_miss_of_one_side_is_an_infinite_ratio_or_none_at_all() -> None:
    runs = made({("adam", "a"): [10.0] * 8, ("sgd", "a"): [NAN] * 8, ("fast", "a"): [2.0] * 8})
    table = against(runs, "adam").set_index(["optimizer", "problem"])
    sgd = table.loc[("sgd", "a")]
    assert (sgd["ratio"], sgd["low"], sgd["word"]) == (INF, INF, "slower")
    fast = table.loc[("fast", "a")]
    assert (fast["ratio"], fast["high"], fast["word"]) == (0.2, 0.2, "faster")
    other = against(runs, "sgd").set_index(["optimizer", "problem"]).loc[("adam", "a")]
    assert (other["ratio"], other["high"], other["word"]) == (0.0, 0.0, "faster")


def test_pairs_share_problem_and_seed() -> None:
    runs = made({("adam", "a"): [10, 100, 1000], ("sgd", "a"): [20, 200, 2000]})
    runs = runs[~((runs["optimizer"] == "sgd") & (runs["seed"] == 1))]
    found = against(runs, "adam").set_index("problem").loc["a"]
    assert (found["pairs"], found["ratio"]) == (2, 2.0)


def test_without_the_baseline_there_is_nothing_to_say() -> None:
    runs = made({("sgd", "a"): [1.0]})
    assert len(against(runs, "adam")) == 0
    assert "word" in against(runs, "adam").columns
    assert len(probability_of_improvement(runs, "adam")) == 0


def test_base_and_variant_are_carried() -> None:
    runs = made({("adam", "a"): [1.0], ("sgd", "a"): [1.0]})
    runs.loc[runs["optimizer"] == "sgd", ["optimizer", "base", "variant"]] = [
        *("sgd[foreach]", "sgd", "foreach")
    ]
    row = against(runs, "adam").iloc[0]
    assert (row["optimizer"], row["base"], row["variant"]) == ("sgd[foreach]", "sgd", "foreach")


# What the words are worth.


def test_twenty_per_cent_slower_is_within_the_interval_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    found = [overall(noisy(rng, 1.2)) for _ in range(100)]
    assert sum(row["low"] <= 1.2 <= row["high"] for row in found) >= 94
    # Nor by an interval of any width.
    assert np.median([row["high"] / row["low"] for row in found]) < 1.5


def test_two_equal_ones_are_rarely_called_different() -> None:
    rng = np.random.default_rng(6)
    words = [overall(noisy(rng, 1.0))["word"] for _ in range(100)]
    assert sum(word in ("faster", "slower") for word in words) <= 7


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(7)
    slower = [overall(noisy(rng, 1.5))["word"] for _ in range(30)]
    faster = [overall(noisy(rng, 1 / 1.5))["word"] for _ in range(30)]
    assert slower.count("slower") >= 28
    assert faster.count("faster") >= 28


def test_five_seeds_settle_nothing() -> None:
    runs = made({("adam", "a"): [10.0] * 5, ("sgd", "a"): [30.0] * 5})
    row = overall(runs)
    assert (row["low"], row["high"], row["word"]) == (0.0, INF, "inconclusive")
    six = made({("adam", "a"): [10.0] * 6, ("sgd", "a"): [30.0] * 6})
    assert overall(six)["word"] == "slower"


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ([1000.0] * 10, "equivalent"),
        ([1040.0] * 10, "equivalent"),
        ([970.0] * 10, "equivalent"),
        ([940.0] * 10, "faster"),
        ([1060.0] * 10, "slower"),
        ([1020.0] * 5 + [1200.0] * 5, "slower"),
        ([1020.0] * 9 + [1200.0], "equivalent"),
        ([1020.0] * 6 + [1200.0] * 4, "inconclusive"),  # leaves out one, but by a trifle
        ([980.0] * 6 + [800.0] * 4, "inconclusive"),
        ([500.0] * 5 + [2000.0] * 5, "inconclusive"),
    ],
)
def test_words(steps: list[float], word: str) -> None:
    assert overall(made({("adam", "a"): [1000.0] * 10, ("sgd", "a"): steps}))["word"] == word


def test_adding_an_optimizer_and_mixing_rows_change_no_bit() -> None:
    rng = np.random.default_rng(8)
    runs = noisy(rng, 1.3)
    third = noisy(rng, 0.3).query("optimizer == 'sgd'").assign(optimizer="lion", run=1000)
    more = pd.concat([third, runs], ignore_index=True)
    more = more.iloc[rng.permutation(len(more))].assign(run=range(len(more)))
    for function in (against, probability_of_improvement):
        alone, among = function(runs, "adam"), function(more, "adam")
        assert set(among["optimizer"]) == {"sgd", "lion"}
        among = among[among["optimizer"] == "sgd"].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, among, check_exact=True)


# The probability of improvement.


def test_the_probability_is_that_of_mann_and_whitney() -> None:
    runs = noisy(np.random.default_rng(9), 1.1)
    # Ties, too.
    runs["steps_to_target"] = runs["steps_to_target"].round(-2)
    expected = []
    for _, part in runs.groupby("problem"):
        x, y = (
            part[part["optimizer"] == name]["steps_to_target"].fillna(1e9)
            for name in ("sgd", "adam")
        )
        expected.append(mannwhitneyu(y, x).statistic / len(x) / len(y))
    row = probability_of_improvement(runs, "adam").iloc[0]
    assert row["probability"] == pytest.approx(np.mean(expected))
    assert row["problems"] == 6
    assert row["low"] < row["probability"] < row["high"]


def test_the_probability_by_hand_with_misses() -> None:
    runs = made(
        {
            ("adam", "a"): [10, NAN],
            ("sgd", "a"): [5, NAN],
            ("adam", "b"): [10, 10],
            ("sgd", "b"): [20, 20],
            ("sgd", "c"): [1, 1],
        }
    )
    row = probability_of_improvement(runs, "adam").iloc[0]
    # a: 5 beats both, a miss loses to 10 and ties with a miss; b: never; c: adam was not there.
    assert row["probability"] == pytest.approx(((2 + 0 + 0.5) / 4 + 0) / 2)
    assert row["problems"] == 2


def test_the_interval_of_the_probability_resamples_both_sides_alike() -> None:
    steps = {
        ("adam", "a"): [3.0, 9.0, 4.0, NAN],
        ("sgd", "a"): [5.0, 2.0, 4.0, 8.0],
        ("adam", "b"): [1.0, 2.0, 3.0],
        ("sgd", "b"): [2.0, 1.0, NAN],
    }
    row = probability_of_improvement(made(steps), "adam").iloc[0]
    drawn = []
    for draw in range(2000):
        chances = []
        for problem, seeds in (("a", 4), ("b", 3)):
            counts = (seed_weights(problem, seeds)[draw] * seeds).round().astype(int)
            x, y = (
                np.repeat(np.nan_to_num(steps[name, problem], nan=INF), counts)
                for name in ("sgd", "adam")
            )
            less, same = x[:, None] < y[None, :], x[:, None] == y[None, :]
            chances.append(np.mean(less + 0.5 * same))
        drawn.append(np.mean(chances))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))


def test_single_seeds_give_no_interval_of_the_probability() -> None:
    runs = made({(o, p): [1.0] for o in ("adam", "sgd") for p in "ab"})
    row = probability_of_improvement(runs, "adam").iloc[0]
    assert row[["low", "high"]].isna().all()
    assert row["probability"] == 0.5
