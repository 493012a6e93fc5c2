"""Median and quartiles of a trace over seeds, with divergence kept in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from optbench.analysis.quantiles import Floats, lower_quantiles_by_row_group
from optbench.analysis.results import FINISHED
from optbench.analysis.traced import points

QUARTILES = (0.25, 0.5, 0.75)
BAND = ["problem", "optimizer", "step", "low", "median", "high", "seeds"]


def bands(
    runs: pd.DataFrame, traces: pd.DataFrame, metric: str = "gap", *, relative: bool = False
) -> pd.DataFrame:
    """Quartiles over seeds of a traced value, at every logged step.

    A run that diverged or failed is infinitely far away after its trace ends: it stays in the
    count, and drags the median up instead of leaving it to the survivors. A run that ended well
    before its budget keeps its last value. Quantiles are not interpolated (`lower_quantile`).

    Parameters
    ----------
    runs : DataFrame
        The runs of one league: one setting an optimizer and problem.
    traces : DataFrame
        Of `Results`.
    metric : str
        Which of its metrics.
    relative : bool
        Divide by the run's initial gap.

    Returns
    -------
    DataFrame
        ``problem``, ``optimizer``, ``step``, ``low``, ``median``, ``high``, ``seeds``;
        sorted by the first three.
    """
    found = points(runs, traces, [metric])
    row, step, value = found.row, found.step, found.value
    if relative:
        initial = runs["initial_gap"].to_numpy(dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = value / initial[row]
    ok = runs["status"].isin(FINISHED).to_numpy(dtype=bool)

    problem, problems = pd.factorize(runs["problem"], sort=True)
    of_point = problem[row]
    parts: list[pd.DataFrame] = []
    for code, name in enumerate(problems):
        here = np.flatnonzero(of_point == code)
        if not len(here):
            continue
        members = np.flatnonzero(problem == code)
        steps, column = np.unique(step[here], return_inverse=True)
        matrix = _matrix(np.searchsorted(members, row[here]), column, value[here], ok[members])
        group, optimizers = pd.factorize(runs["optimizer"].iloc[members], sort=True)
        low, median, high = lower_quantiles_by_row_group(matrix, group, QUARTILES)
        size = np.bincount(group)
        parts.append(
            pd.DataFrame(
                {
                    "problem": name,
                    "optimizer": np.repeat(np.asarray(optimizers, dtype=object), len(steps)),
                    "step": np.tile(steps, len(optimizers)),
                    "low": low.ravel(),
                    "median": median.ravel(),
                    "high": high.ravel(),
                    "seeds": np.repeat(size, len(steps)),
                }
            )
        )
    if not parts:
        return pd.DataFrame({name: [] for name in BAND})
    return pd.concat(parts, ignore_index=True)


def _matrix(
    row: npt.NDArray[np.intp],
    column: npt.NDArray[np.intp],
    value: Floats,
    ok: npt.NDArray[np.bool_],
) -> Floats:
    """Return runs by steps: the last value seen, infinite after the end of a failed run."""
    columns = int(column.max()) + 1
    matrix = np.full((len(ok), columns), np.nan)
    # A value that is no number was logged by a run on its way out: infinite, not missing.
    matrix[row, column] = np.where(np.isnan(value), np.inf, value)
    seen = np.where(np.isnan(matrix), -1, np.arange(columns))
    last = np.maximum.accumulate(seen, axis=1)
    filled = np.take_along_axis(matrix, np.maximum(last, 0), axis=1)
    ended = np.arange(columns) > seen.max(axis=1, keepdims=True)
    filled[ended & ~ok[:, None]] = np.inf
    return np.where(np.isnan(filled), np.inf, filled)
