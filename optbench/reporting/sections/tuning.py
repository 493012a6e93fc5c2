"""What tuning is worth: the best of k settings against k."""

from __future__ import annotations

import pandas as pd

from optbench import analysis
from optbench.reporting.figure_tuning import tuning as draw
from optbench.reporting.material import Material
from optbench.reporting.section import Plot, Section


def tuning(material: Material) -> Section | None:
    """One figure."""
    results, one = material.results, material.main
    named = one.alike
    runs = results.runs
    wanted = runs["optimizer"].isin(named) & runs["problem"].isin(one.ground["problem"])
    bases = runs[wanted.to_numpy(dtype=bool)]
    best = analysis.best_of_k(bases, results.targets)
    if best.empty:
        return None
    defaults = analysis.best_of_defaults(bases, results.targets)
    plot = Plot(
        "tuning",
        "Best of k",
        "The area that is to be expected of the best of k settings, drawn at random from those "
        "that were tried, chosen on one half of the seeds and scored on the other: a line that "
        "rises steeply needs tuning, one that starts high does not. Its end is the area of the "
        "ranking, over the same problems; only who ran on all of them is here. The dashed line "
        f"tries k of these {len(named)} optimizers, drawn at random, at their defaults, instead "
        "of k settings of one (Schmidt et al. 2021); it depends on which there are.",
        _shows(best, defaults, material.baseline),
        "Expected area of the best of k settings against k.",
        draw(best, defaults, material.colored, material.looks),
        best,
    )
    return Section("worth-of-tuning", "What tuning is worth", (plot,), "Tuning")


def _shows(best: pd.DataFrame, defaults: pd.DataFrame, baseline: str) -> str:
    own = best[best["optimizer"] == baseline].sort_values("k")
    said = []
    if len(own) > 1:
        last = own.iloc[-1]
        said.append(
            f"{baseline}: {own.iloc[0]['value']:.3f} at one random setting, {last['value']:.3f} at "
            f"the best of {int(last['k'])}"
        )
        reached = defaults[(defaults["k"] <= last["k"]).to_numpy(dtype=bool)]
        if len(reached):
            row = reached.sort_values("k").iloc[-1]
            said.append(
                f"the best of {int(row['k'])} random optimizers at defaults {row['value']:.3f}"
            )
    return ("; ".join(said) + ".") if said else ""
