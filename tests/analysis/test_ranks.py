"""Ranks and critical differences: Demsar's own example, his table, and scikit-posthocs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from optbench.analysis import critical_difference, ranks

NAN = np.nan

# Demsar 2006, table 6: ranks by area under the curve on 14 data sets.
DEMSAR = pd.DataFrame(
    [
        (4, 3, 2, 1),
        (1, 2, 3, 4),
        (4, 1, 2, 3),
        (4, 1, 3, 2),
        (4, 2, 3, 1),
        (1, 2.5, 4, 2.5),
        (3, 2, 4, 1),
        (2.5, 2.5, 4, 1),
        (4, 3, 2, 1),
        (2.5, 2.5, 2.5, 2.5),
        (4, 2.5, 1, 2.5),
        (3, 2, 4, 1),
        (4, 1, 2, 3),
        (3, 1, 4, 2),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)

# Demsar 2006, table 5a: critical values of Nemenyi's test for 2 to 10 of them.
NEMENYI = {
    0.05: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
    0.10: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
}


def made(steps: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Scores from the median steps of each optimizer, one a problem."""
    rows = [(o, f"p{k}", step) for o, row in steps.items() for k, step in enumerate(row)]
    return pd.DataFrame(rows, columns=["optimizer", "problem", "median_steps"])


def shuffled_ranks(problems: int, count: int, seed: int, effect: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps = np.exp(rng.normal(effect * np.arange(count), 1.0, (problems, count)))
    return ranks(made({f"o{k}": steps[:, k].tolist() for k in range(count)}))


# Ranks.


def test_ranks_by_hand() -> None:
    found = ranks(
        made(
            {
                "a": [10, 10, NAN, NAN],
                "b": [20, 10, 50, NAN],
                "c": [5, NAN, NAN, NAN],
                "d": [NAN, NAN, 60, NAN],
            }
        )
    )
    assert found.loc["p0"].tolist() == [2, 3, 1, 4]
    assert found.loc["p1"].tolist() == [1.5, 1.5, 3.5, 3.5]
    assert found.loc["p2"].tolist() == [3.5, 1, 3.5, 2]
    assert found.loc["p3"].tolist() == [2.5] * 4


def test_only_who_was_scored_on_every_problem_is_ranked() -> None:
    scores = made({"a": [10, 10], "b": [20, 20], "c": [1, 1]})
    scores = scores[~((scores["optimizer"] == "c") & (scores["problem"] == "p1"))]
    found = ranks(scores)
    assert found.columns.tolist() == ["a", "b"]
    assert found["a"].tolist() == [1, 1]


def test_the_order_of_rows_does_not_matter() -> None:
    scores = made({"a": [10, 3], "c": [2, 20], "b": [7, 7]})
    pd.testing.assert_frame_equal(ranks(scores.sample(frac=1, random_state=1)), ranks(scores))


def test_nothing_has_no_ranks() -> None:
    assert ranks(made({})).empty
    found = critical_difference(ranks(made({})))
    assert (found.groups, found.enough, found.problems) == ((), False, 0)


# Critical differences.


def test_the_example_of_demsar() -> None:
    found = critical_difference(DEMSAR)
    assert found.mean_ranks.round(3).to_dict() == {
        **{"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}
    }
    assert found.mean_ranks.index[0] == "C4.5+m+cf"
    # Friedman's statistic is 9.28 there, without the correction for ties: one of four tied
    # ranks, three of two.
    ties = (4**3 - 4 + 3 * (2**3 - 2)) / (14 * 4 * (4**2 - 1))
    assert found.p == pytest.approx(chi2.sf(9.28 / (1 - ties), 3), rel=5e-3)
    assert found.difference == pytest.approx(1.25, abs=5e-3)
    # "At p = 0.05 [...] the Nemenyi test is not powerful enough": all four in one group.
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"),)
    assert (found.problems, found.enough) == (14, True)

    found = critical_difference(DEMSAR, alpha=0.1)
    assert found.difference == pytest.approx(1.12, abs=5e-3)
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))


@pytest.mark.parametrize("alpha", [0.05, 0.10])
def test_critical_values_are_those_of_the_table(alpha: float) -> None:
    problems = 6
    found = [
        critical_difference(shuffled_ranks(problems, k, seed=0), alpha).difference
        / np.sqrt(k * (k + 1) / 6 / problems)
        for k in range(2, 11)
    ]
    np.testing.assert_allclose(found, NEMENYI[alpha], atol=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_who_shares_a_group_is_who_scikit_posthocs_does_not_tell_apart(seed: int) -> None:
    # Here and not above: it brings seaborn and statsmodels, which take seconds to load.
    from scikit_posthocs import posthoc_nemenyi_friedman

    table = shuffled_ranks(20, 7, seed, effect=0.4)
    found = critical_difference(table)
    p = posthoc_nemenyi_friedman(table)
    for one in table:
        for other in table:
            together = one == other or any({one, other} <= set(group) for group in found.groups)
            assert together == (p.loc[one, other] > 0.05)
    # None is a part of another.
    sets = [set(group) for group in found.groups]
    assert not any(a < b for a in sets for b in sets)
    assert len(sets) > 1


def test_all_alike_is_rarely_called_different() -> None:
    found = [critical_difference(shuffled_ranks(15, 5, seed)) for seed in range(200)]
    apart = sum(len(each.groups) != 1 or len(each.groups[0]) < 5 for each in found)
    assert 1 <= apart <= 20
    assert 1 <= sum(each.p < 0.05 for each in found) <= 20


def test_one_that_differs_from_all_is_in_no_group() -> None:
    table = pd.DataFrame({"best": [1.0] * 30, "b": [2.0, 3.0] * 15, "c": [3.0, 2.0] * 15})
    assert critical_difference(table).groups == (("b", "c"),)


@pytest.mark.parametrize(
    ("problems", "count", "enough"), [(12, 3, True), (11, 3, False), (12, 2, False)]
)
def test_too_little_is_said_to_be_too_little(problems: int, count: int, enough: bool) -> None:
    assert critical_difference(shuffled_ranks(problems, count, seed=1)).enough is enough


def test_ranks_that_are_all_tied_test_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = critical_difference(pd.DataFrame({name: [2.0] * 12 for name in "cab"}))
    assert np.isnan(found.p)
    assert found.groups == (("a", "b", "c"),)
    alone = critical_difference(pd.DataFrame({"a": [1.0] * 12}))
    assert np.isnan(alone.difference)
    assert alone.groups == ()
