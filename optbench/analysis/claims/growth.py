"""Claims that a difference grows with the size of the model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from optbench.analysis.against import word
from optbench.analysis.claims.claim import Evidence, Finding, Verdict
from optbench.analysis.claims.needed import needed, undecided
from optbench.analysis.claims.ratios import ALPHA, by_problem, number, pair_ratios, told
from optbench.analysis.paired import MedianRatio

SIZES = ("mnist-mlp-8", "mnist-mlp-32", "mnist-mlp")
"""One network with 8, 32 and 128 hidden units: nothing else differs."""


def advantage_grows(evidence: Evidence) -> Finding:
    """Judge the claim that Adam's ratio to SGD falls as the model grows.

    The factor by which the ratio of steps, adam / sgd, changes where the model is ten times as
    large, with the exact interval of the test for trend (`trend`). Supported: the interval lies
    below one and the factor is beyond 5 %. Refuted: above one, or within 5 % of it.
    """
    runs = needed(evidence.tuned.runs, ("adam", "sgd"), SIZES, each=True)
    dimension = runs.groupby("problem")["dimension"].max()
    ratios = [pair_ratios(runs, ("adam", size), ("sgd", size)) for size in SIZES]
    if any(len(each) < 2 for each in ratios):
        raise undecided(("adam", "sgd"), SIZES)
    factor = trend([float(np.log10(dimension[s])) for s in SIZES], [r.to_numpy() for r in ratios])
    said = word(factor)
    verdict = Verdict.of(said == "faster", said in ("slower", "equivalent"))
    rows = by_problem(runs, "adam", "sgd").set_index("problem").loc[list(SIZES)].reset_index()
    rows = rows.assign(dimension=[int(dimension[size]) for size in SIZES])
    at = ", ".join(
        f"{number(row.ratio)} at {row.dimension:,} parameters" for row in rows.itertuples()
    )
    text = (
        f"Each tuned, adam / sgd takes {at} times the gradient evaluations: a tenfold model "
        f"changes the ratio by the factor {told(factor)} ({factor.pairs} pairs of seeds)."
    )
    if (rows["ratio"] == 0).any():
        text += " Where the ratio is 0, sgd does not arrive."
    unit = "adam / sgd, at ten times the size / at one"
    return Finding.of_ratio(verdict, text, factor, unit, rows, len(runs))


def trend(
    places: Sequence[float], groups: Sequence[npt.NDArray[np.float64]], alpha: float = ALPHA
) -> MedianRatio:
    r"""Return the factor by which positive values change over a unit of place.

    The median of the slopes :math:`\log(v_j / v_i) / (x_j - x_i)` over all pairs of values from
    different groups (Theil 1950; Sen 1968, Estimates of the Regression Coefficient Based on
    Kendall's Tau). The interval is made of those slopes that the test for an ordered trend does
    not reject, with the exact distribution of its statistic (Terpstra 1952; Jonckheere 1954).
    It assumes that values scatter alike about the line; censored ones (0, inf) keep their order.

    Parameters
    ----------
    places : sequence of float
        Of each group, rising.
    groups : sequence of array
        Values, independent of each other.
    """
    slopes = []
    for (x, low), (y, high) in itertools.combinations(zip(places, groups, strict=True), 2):
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = np.log(high)[:, None] - np.log(low)[None, :]
        # Both censored alike: it is not known which is larger.
        slopes.append(np.where(np.isnan(rise), 0.0, rise).ravel() / (y - x))
    ordered = np.sort(np.concatenate(slopes))
    n = len(ordered)
    middle = float(np.exp((ordered[(n - 1) // 2] + ordered[n // 2]) / 2))
    below = np.cumsum(_ordered_pairs([len(each) for each in groups]))
    k = int(np.searchsorted(below, alpha / 2, side="right"))  # P(fewer than k pairs rise)
    total = sum(len(each) for each in groups)
    if k < 1:
        return MedianRatio(middle, 0.0, math.inf, total)
    return MedianRatio(middle, float(np.exp(ordered[k - 1])), float(np.exp(ordered[n - k])), total)


def _ordered_pairs(sizes: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the distribution of the number of rising pairs where there is no trend.

    Its generating function is the q-multinomial coefficient: all orders of the values are equally
    likely, and it counts inversions of a word of so many letters of each kind.
    """
    counts = np.ones(1)
    seen = 0
    for size in sizes:
        for i in range(1, size + 1):
            # Times (1 - q^(seen + i)), divided by (1 - q^i).
            longer = np.zeros(len(counts) + seen + i)
            longer[: len(counts)] += counts
            longer[seen + i :] -= counts
            for j in range(i, len(longer)):
                longer[j] += longer[j - i]
            counts = longer[: len(counts) + seen]
        seen += size
    share: npt.NDArray[np.float64] = counts / counts.sum()
    return share
