"""Quantiles that keep a censored value censored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def lower_quantile(
    frame: pd.DataFrame, by: Sequence[str], value: str, q: float = 0.5
) -> pd.Series[float]:
    r"""Return the quantile of a column in each group, without interpolation.

    :math:`\min\{x : F_n(x) \ge q\}`, definition 1 of Hyndman and Fan 1996 (NumPy's
    ``inverted_cdf``). NaN means censored and counts as infinity, so that the median of steps to
    a target is the step by which at least half of the runs have reached it, or infinity. An
    interpolated median would be infinite, or a number that depends on what a miss is taken for,
    where exactly half have.

    Returns
    -------
    Series
        Indexed by ``by``, sorted.
    """
    keys = list(by)
    censored = frame[keys].assign(**{value: frame[value].astype(float).fillna(np.inf)})
    ordered = censored.sort_values([*keys, value])
    size = ordered.groupby(keys, observed=True, dropna=False).size()
    count = size.to_numpy()
    place = count.cumsum() - count + order_statistic(count, q)
    return pd.Series(ordered[value].to_numpy()[place], index=size.index, name=value)


def lower_quantiles_by_row_group(
    values: Floats, group: npt.NDArray[np.intp], quantiles: Sequence[float]
) -> Floats:
    """`lower_quantile` down the columns of a matrix, for groups of its rows at once.

    Parameters
    ----------
    values : array [rows, columns]
        NaN counts as infinity.
    group : array [rows]
        0 ... G - 1, each present.
    quantiles : sequence of float

    Returns
    -------
    array [quantiles, G, columns]
    """
    censored = np.where(np.isnan(values), np.inf, values)
    order = np.argsort(censored, axis=0, kind="stable")
    regroup = np.argsort(group[order], axis=0, kind="stable")
    ordered = np.take_along_axis(censored, np.take_along_axis(order, regroup, axis=0), axis=0)
    count = np.bincount(group)
    first = count.cumsum() - count
    return np.stack([ordered[first + order_statistic(count, q)] for q in quantiles])


def order_statistic(count: npt.NDArray[np.integer[Any]], q: float) -> npt.NDArray[np.intp]:
    """Index, from 0, of the q-quantile among ``count`` ordered values."""
    place: npt.NDArray[np.intp] = np.maximum(np.ceil(q * count).astype(np.intp), 1) - 1
    return place
