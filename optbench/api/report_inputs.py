"""What a report draws that is not in a store: contours, theory, costs, history."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from optbench.analysis import Results
    from optbench.problems import Problem
    from optbench.reporting.material import Costs
    from optbench.tracking.repository_history import RepositoryHistory
    from optbench.verdicts.comparison import Comparison

Box = tuple[tuple[float, float], tuple[float, float]]

LANDSCAPES: dict[str, Box] = {
    "rosenbrock-2d": ((-2.7, 2.7), (-2.7, 2.7)),
    "beale": ((0.0, 4.2), (-1.0, 1.6)),
}
"""Two-dimensional problems with one minimum, and the box that holds it and the starts."""

MESH = 0.05
"""Of the grids. The minima lie on it: the least of a grid that misses them lies elsewhere, far
along a narrow valley."""

NOISE = "noisy-quadratic"

SIZES = re.compile(r"parameters=(\d{1,15}), tensors=(\d{1,9})")
BOUND_PARAMETERS = 10_000_000
"""Number of parameters of `optbench.asv.MemoryBound`."""


def landscapes(results: Results) -> dict[str, pd.DataFrame]:
    """Grids for the contours of the two-dimensional problems that are drawn."""
    from optbench.problems import PROBLEMS

    ran = set(results.runs["problem"])
    return {name: landscape(PROBLEMS[name], box) for name, box in LANDSCAPES.items() if name in ran}


def landscape(problem: Problem, box: Box) -> pd.DataFrame:
    """Values of a two-dimensional problem on a grid over a box: x0, x1, value."""
    import pandas as pd
    import torch

    axes = [np.linspace(low, high, round((high - low) / MESH) + 1) for low, high in box]
    x0, x1 = (each.ravel() for each in np.meshgrid(*axes))
    bound = problem.bind(torch.float64, torch.device("cpu"))
    (name,) = problem.shapes
    value = bound.objective({name: torch.from_numpy(np.stack([x0, x1], axis=1))}).numpy()
    return pd.DataFrame({"x0": x0, "x1": x1, "value": value - problem.minimum})


def stationary(results: Results) -> pd.DataFrame | None:
    """Return theory's stationary gap on the noisy quadratic, at the rates that were run."""
    from optbench.known_answers.noise_ball import stationary_gaps
    from optbench.problems import PROBLEMS

    runs = results.runs
    rates = runs.loc[(runs["problem"] == NOISE).to_numpy(dtype=bool), "lr"]
    return stationary_gaps(PROBLEMS[NOISE], rates.unique()) if len(rates) else None


def answers() -> pd.DataFrame:
    """Measure the known answers that claims refer to, which takes a second or two."""
    import pandas as pd

    from optbench.analysis.claims import ANSWERS
    from optbench.known_answers import KNOWN_ANSWERS, known_answers

    wanted = [row for row in KNOWN_ANSWERS if row.name in ANSWERS]
    return pd.DataFrame(
        [
            {
                **{"name": each.name, "setting": each.setting, "expected": each.expected},
                **{"measured": each.measured, "holds": each.holds},
                **{"statement": each.statement, "cite": each.cite},
            }
            for each in known_answers(wanted)
        ]
    )


def costs(asv: Path) -> Costs | None:
    """Seconds a step of asv's last commit, and the memory's bound beside them."""
    import pandas as pd

    from optbench.reporting.material import Costs
    from optbench.tracking.asv_results import read_asv_results

    values = read_asv_results(asv).values
    values = values[(values["status"] == "measured").to_numpy(dtype=bool)]
    sized = values["parameters"].astype(str).str.fullmatch(SIZES)
    steps = values[((values["metric"] == "time_step") & sized).to_numpy(dtype=bool)]
    if steps.empty:
        return None
    last = steps.sort_values(["order", "commit"]).iloc[-1]
    here = ["machine", "environment", "commit"]
    values = values.merge(last[here].to_frame().T, on=here)
    sizes = values["parameters"].str.extract(SIZES)
    fewest = int(sizes[1].dropna().astype(int).min())
    one_tensor = values.assign(size=sizes[0], tensors=sizes[1])
    one_tensor = one_tensor[
        ((values["metric"] == "time_step") & (sizes[1] == str(fewest))).to_numpy(dtype=bool)
    ]
    drawn = pd.DataFrame(
        {
            "optimizer": one_tensor["optimizer"],
            "parameters": one_tensor["size"].astype("int64"),
            "seconds": one_tensor["value"].astype("float64"),
        }
    ).sort_values(["optimizer", "parameters"], ignore_index=True)
    where = f"commit {last['commit'][:10]} on {last['machine']}, {fewest} tensor"
    where += "s" * (fewest != 1)
    return Costs(drawn, _bound(values, drawn), where)


def _bound(values: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Fused Adam's time by its distance from the bound, which is that of all sizes a parameter."""
    import pandas as pd

    gap = values.loc[(values["metric"] == "bandwidth_gap").to_numpy(dtype=bool), "value"]
    largest = steps[
        (steps["optimizer"] == "adam[fused]") & (steps["parameters"] == BOUND_PARAMETERS)
    ]
    if gap.empty or largest.empty:
        return pd.DataFrame({"parameters": [], "seconds": []})
    a_parameter = float(largest["seconds"].iloc[0]) / float(gap.iloc[0]) / BOUND_PARAMETERS
    sizes = sorted(steps["parameters"].unique())
    return pd.DataFrame({"parameters": sizes, "seconds": [a_parameter * size for size in sizes]})


def asv_of(repository: Path) -> Path | None:
    """asv's results in a repository, where there is one and there are some."""
    from optbench.defaults import ASV_RESULTS
    from optbench.sources import SourceError, git

    try:
        folder = git.top_level(repository) / ASV_RESULTS
    except SourceError:
        return None
    return folder if folder.is_dir() else None


def history_of(
    repository: Path, results: Results, store: str | None, asv: Path | None
) -> RepositoryHistory | None:
    """Return the history of a repository; None where there is none of two of its commits."""
    from optbench.sources import SourceError
    from optbench.tracking.records import codes_of_nights
    from optbench.tracking.repository_history import NoHistory, load_history

    if asv is None and results.environments["commit"].nunique() < 2:
        return None
    try:
        found = load_history(repository, store=results, asv=asv, nights=codes_of_nights(store))
    except (SourceError, NoHistory):
        return None
    return found if found.history.values["commit"].nunique() >= 2 else None


def read_comparisons(given: Sequence[Comparison | str | Path]) -> list[Comparison]:
    """Return comparisons as they are, and read those that ``optbench compare --json`` wrote.

    Raises
    ------
    WrongUse
        Where a file is none.
    """
    from optbench.errors import WrongUse
    from optbench.plain_text import words
    from optbench.verdicts.comparison_json import NotAComparison, read_comparison

    found = []
    for each in given:
        if not isinstance(each, str | Path):
            found.append(each)
            continue
        try:
            found.append(read_comparison(_json(Path(each))))
        except (OSError, ValueError, RecursionError, NotAComparison) as error:
            raise WrongUse(
                f"{each}: not a comparison of optbench compare --json: {words(error)}"
            ) from error
    return found


def _json(file: Path) -> Any:
    from optbench.whole_files import read_whole

    return json.loads(read_whole(file).decode("utf-8"), parse_constant=lambda text: math.nan)
