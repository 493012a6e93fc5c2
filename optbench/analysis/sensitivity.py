"""What the learning rate does to an optimizer."""

from __future__ import annotations

import pandas as pd

from optbench.analysis.scores import scores

PAIR = ["optimizer", "problem"]


def sensitivity(runs: pd.DataFrame) -> pd.DataFrame:
    """Scores by learning rate, all other hyperparameters held.

    They are held at the optimizer's defaults, or, where those were not run, at what most runs
    of the pair have. All seeds count: nothing is chosen here. Runs whose rate a schedule changes
    on the way are left out.

    Returns
    -------
    DataFrame
        The columns of `scores`, and ``lr``, ``default`` (whether it is the default one); only
        pairs with two learning rates or more.
    """
    # An optimizer without a learning rate has NaN for it.
    ranked = runs[(runs["lr"] > 0) & (runs["lr_schedule"] == "")]
    ranked = ranked.assign(is_default=ranked["default"].astype(bool))
    counted = (
        ranked.groupby([*PAIR, "hyperparameters"])
        .agg(is_default=("is_default", "max"), count=("run", "size"))
        .reset_index()
        .sort_values(
            [*PAIR, "is_default", "count", "hyperparameters"],
            ascending=[True, True, False, False, True],
        )
    )
    held = counted.drop_duplicates(PAIR)[[*PAIR, "hyperparameters"]]
    kept = ranked.merge(held, on=[*PAIR, "hyperparameters"])
    several = kept.groupby(PAIR)["lr"].transform("nunique") > 1
    kept = kept[several]
    by_rate = scores(kept, by=[*PAIR, "lr"])
    default = kept.groupby([*PAIR, "lr"])["is_default"].max().rename("default").reset_index()
    return by_rate.merge(default, on=[*PAIR, "lr"])
