"""Which runs divided their gradients among processes."""

from __future__ import annotations

import pandas as pd


def data_parallel(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return runs with ``ddp`` among their hyperparameters, which compute the same as one process.

    They stand in no league: beside the runs that they repeat they would be the same evidence twice.
    """
    return runs["hyperparameters"].str.contains('"ddp":', regex=False).astype(bool)
