"""The points of some runs' traces, found without a look at those of all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis.quantiles import Floats


@dataclass(frozen=True)
class Points:
    """Logged points [n], in the order of the frame that they come from.

    Attributes
    ----------
    row : array [n]
        Place of the run among those that were asked for.
    metric : Series [n]
    step : array [n]
    value : array [n]
    """

    row: npt.NDArray[np.intp]
    metric: pd.Series[str]
    step: npt.NDArray[np.int64]
    value: Floats


def points(runs: pd.DataFrame, traces: pd.DataFrame, metrics: Sequence[str]) -> Points:
    """Return what some runs logged of some metrics.

    Where the frame has the points of a run together and runs in rising order, as those of a store,
    they are found by bisection; else by a look at every point. Traces of a million runs are
    eighty million points, of which a question about a problem needs a few thousand.

    Parameters
    ----------
    runs : DataFrame
        With ``run``, each once.
    traces : DataFrame
        Of `Results`.
    metrics : sequence of str
    """
    of_point = traces["run"].to_numpy()
    wanted = runs["run"].to_numpy()
    if bool(np.all(of_point[1:] >= of_point[:-1])):
        order = np.argsort(wanted, kind="stable")
        first, end = (np.searchsorted(of_point, wanted[order], side) for side in ("left", "right"))
        count = end - first
        here = np.arange(count.sum()) + np.repeat(first - (count.cumsum() - count), count)
        row = np.repeat(order, count)
    else:
        row = pd.Index(wanted).get_indexer(pd.Index(of_point)).astype(np.intp)
        here = np.flatnonzero(row >= 0)
        row = row[here]
    metric = traces["metric"].iloc[here]
    asked = metric.isin(metrics).to_numpy(dtype=bool)
    here, row, metric = here[asked], row[asked], metric[asked]
    return Points(
        row,
        metric,
        traces["step"].to_numpy()[here],
        traces["value"].to_numpy(dtype=np.float64)[here],
    )
