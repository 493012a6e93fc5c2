"""The bootstrap's weights: what they are, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from optbench.analysis import seed_weights
from optbench.analysis.resampling import percentile_interval, strata


@pytest.mark.parametrize("seeds", [1, 4, 10])
def test_a_draw_takes_as_many_seeds_as_there_are(seeds: int) -> None:
    weights = seed_weights("quadratic", seeds)
    assert weights.shape == (2000, seeds)
    counts = weights * seeds
    np.testing.assert_array_equal(counts, counts.round())
    np.testing.assert_array_equal(counts.sum(axis=1), seeds)


def test_each_count_has_the_moments_of_a_binomial() -> None:
    seeds, draws = 8, 20_000
    counts = seed_weights("quadratic", seeds, draws) * seeds
    expected = binom(seeds, 1 / seeds)
    tolerance = 5 * expected.std() / np.sqrt(draws)
    np.testing.assert_allclose(counts.mean(axis=0), expected.mean(), atol=tolerance)
    np.testing.assert_allclose(counts.var(axis=0), expected.var(), rtol=0.1)


def test_draws_belong_to_the_problem_and_to_nothing_else() -> None:
    first = seed_weights("quadratic", 10).copy()
    seed_weights.cache_clear()
    other = seed_weights("beale", 10)
    np.testing.assert_array_equal(seed_weights("quadratic", 10), first)
    assert (other != first).any(axis=1).mean() > 0.9
    assert seed_weights("\ud800", 3).shape == (2000, 3)  # a name may be any text


def test_nobody_can_spoil_the_draws_of_the_next() -> None:
    with pytest.raises(ValueError, match="read-only"):
        seed_weights("quadratic", 10)[0, 0] = 1.0


def test_an_interval_leaves_out_as_much_on_either_side() -> None:
    low, high = percentile_interval(np.arange(1001.0)[:, None], level=0.9)
    np.testing.assert_allclose([low[0], high[0]], [50.0, 950.0])


def test_strata_are_in_the_order_of_seeds_whatever_that_of_rows() -> None:
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(
        [("b", "q", 2), ("a", "q", 0), ("a", "p", 1), ("a", "p", 0), ("b", "q", 0)],
        columns=["optimizer", "problem", "seed"],
    ).assign(run=range(5))
    for order in (np.arange(5), rng.permutation(5)):
        mixed = runs.iloc[order]
        found = {
            o: {p: mixed["run"].iloc[rows].tolist() for p, rows in problems.items()}
            for o, problems in strata(mixed).items()
        }
        assert found == {"a": {"p": [3, 2], "q": [1]}, "b": {"q": [4, 0]}}
    assert strata(runs.iloc[:0]) == {}
