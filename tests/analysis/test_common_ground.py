"""What optimizers are ranked by: the baseline's problems."""

import pandas as pd
from synthetic import synthetic_results

from optbench.analysis import common_ground

RUNS = synthetic_results(seeds=1, rates=[1e-2]).runs


def on(**problems: str) -> pd.DataFrame:
    """Runs of each optimizer on its problems, of which those that begin with c are made up."""
    rows = [
        {"optimizer": name, "problem": problem, "family": family(problem)}
        for name, several in problems.items()
        for problem in several.split()
    ]
    return pd.DataFrame(rows)


def family(problem: str) -> str:
    return "counterexample" if problem.startswith("c") else "convex"


def left(runs: pd.DataFrame, baseline: str = "adam") -> dict[str, str]:
    kept = common_ground(runs, baseline)
    return {str(name): " ".join(part["problem"]) for name, part in kept.groupby("optimizer")}


def test_all_of_a_suite_is_common_ground() -> None:
    assert common_ground(RUNS, "adam").equals(RUNS)


def test_only_the_problems_of_the_baseline_count() -> None:
    assert left(on(adam="p q", sgd="p q r", lion="p")) == {"adam": "p q", "sgd": "p q", "lion": "p"}
    assert left(on(adam="p q", sgd="p q r"), "sgd") == {"adam": "p q", "sgd": "p q r"}


def test_another_optimizer_moves_no_ground() -> None:
    few, crowd = on(adam="p q", sgd="p q r"), {f"new{n}": "r s" for n in range(9)}
    found = left(on(adam="p q", sgd="p q r", **crowd))
    assert {name: found[name] for name in ("adam", "sgd")} == left(few)


def test_counterexamples_are_apart_unless_there_is_nothing_else() -> None:
    assert left(on(adam="p c", sgd="p c")) == {"adam": "p", "sgd": "p"}
    assert left(on(adam="c", amsgrad="c c2")) == {"adam": "c", "amsgrad": "c"}


def test_nobody_vanishes_for_having_run_elsewhere() -> None:
    assert left(on(adam="p", sgd="q")) == {"adam": "p", "sgd": "q"}
    assert left(on(sgd="p q", lion="q")) == {"sgd": "p q", "lion": "q"}
