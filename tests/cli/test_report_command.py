"""``optbench report`` on a store of a few real runs."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from optbench.api.report_inputs import LANDSCAPES, costs, landscape
from optbench.problems import PROBLEMS
from optbench.reporting.comparison_text import without_infinities
from optbench.store.address import public
from optbench.verdicts.comparison import (
    Comparison,
    Maths,
    MathsVerdict,
    OptimizerComparison,
    SideOfComparison,
)

if TYPE_CHECKING:
    from conftest import Optbench


def test_the_report_is_written_and_its_path_is_what_is_printed(
    optbench: Optbench, store: Path, workplace: Path
) -> None:
    code, out, err = optbench("report")
    page = workplace / "reports" / "latest" / "index.html"
    assert (code, out) == (0, f"{page}\n")
    assert err == "the report:\n"
    text = page.read_text("utf-8")
    assert "rosenbrock-2d" in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert (page.parent / "report.md").stat().st_size
    assert list((page.parent / "figures").glob("*.svg"))
    assert list((page.parent / "tables").glob("*.csv"))


@pytest.mark.proof
def test_the_report_goes_where_it_is_told_with_the_baseline_it_is_told(
    optbench: Optbench, store: Path
) -> None:
    code, out, _ = optbench("report", "--out", "there/deep", "--baseline", "sgd")
    assert code == 0
    assert Path(out.strip()) == Path("there/deep/index.html").resolve()
    assert "--baseline sgd" in Path("there/deep/report.md").read_text("utf-8")
    optbench("report", "--out", "adam")
    tables = [Path(out, "tables", "ranking-default.csv") for out in ("there/deep", "adam")]
    ours, theirs = (pd.read_csv(table).set_index("optimizer") for table in tables)
    assert set(ours.index) == set(theirs.index)
    assert not ours.sort_index().equals(theirs.sort_index())


COMPARISON = Comparison(
    SideOfComparison("main", "a" * 40),
    SideOfComparison("working tree", "b" * 40),
    ("maths",),
    (OptimizerComparison("tinyopt:<b>Adam</b>", Maths(MathsVerdict.CHANGED, "the third step")),),
)


@pytest.mark.proof
def test_comparisons_and_costs_stand_in_the_page(optbench: Optbench, store: Path) -> None:
    text = json.dumps(without_infinities(COMPARISON.as_json()))
    Path("compared.json").write_text(text)
    timings(Path("asv"))
    code, _, _ = optbench("report", "--compare", "compared.json", "--asv", "asv", "--out", "out")
    assert code == 0
    page = Path("out/index.html").read_text("utf-8")
    assert "tinyopt:&lt;b&gt;Adam&lt;/b&gt;" in page
    assert "the third step" in page
    assert Path("out/figures/cost-by-size.svg").exists()
    assert "--compare compared.json --asv asv" in Path("out/report.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}", "its schema is None"), ("[1", "Expecting"), ("[" * 100_000, ""), ("NaN", "a float")],
)
def test_what_is_no_comparison_is_refused(
    optbench: Optbench, store: Path, text: str, said: str
) -> None:
    Path("odd.json").write_text(text)
    code, out, err = optbench("report", "--compare", "odd.json")
    assert (code, out) == (2, "")
    assert "odd.json: not a comparison of optbench compare --json: " in err
    assert said in " ".join(err.split())
    assert not Path("reports").exists()


def test_two_stores_stand_side_by_side(optbench: Optbench, store: Path) -> None:
    shutil.copy(store, "b.sqlite")
    code, out, _ = optbench(
        "report", "--compare-stores", ".optbench/results.sqlite", "b.sqlite", "--out", "out"
    )
    assert code == 0
    assert Path(out.strip()) == Path("out/index.html").resolve()
    page = Path("out/index.html").read_text("utf-8")
    assert ".optbench/results.sqlite and b.sqlite" in page
    counts = pd.read_csv("out/tables/identical.csv")
    assert (counts["runs"] == counts["identical"]).all()
    assert set(counts["optimizer"]) == {"sgd", "adam", "adam[fused]"}
    table = pd.read_csv("out/tables/side-by-side-default.csv")
    assert set(table["ratio"].dropna()) <= {1.0}


def test_a_store_that_is_not_there_is_refused(optbench: Optbench, store: Path) -> None:
    code, _, err = optbench("report", "--compare-stores", store, "gone.sqlite")
    assert code == 2
    assert "gone.sqlite" in err
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("name", "minimum"), [("rosenbrock-2d", (1.0, 1.0)), ("beale", (3.0, 0.5))]
)
def test_the_least_of_a_landscape_is_its_minimum(name: str, minimum: tuple[float, float]) -> None:
    grid = landscape(PROBLEMS[name], LANDSCAPES[name])
    least = grid.loc[grid["value"].idxmin()]
    assert (least["x0"], least["x1"]) == pytest.approx(minimum)
    assert least["value"] < 1e-12
    for axis, low, high in zip(("x0", "x1"), PROBLEMS[name].low, PROBLEMS[name].high, strict=True):
        assert grid[axis].min() <= low
        assert grid[axis].max() >= high


COMMIT = "c" * 40


def timings(folder: Path) -> None:
    """asv's results of one commit: a step by implementation, size and tensors; the bound."""
    sizes, tensors = [1000, 10_000_000], [1, 100]
    names = ["adam", "adam[fused]"]
    values = [1e-4, 9e-4, 0.04, 0.05, 1e-5, 8e-5, 0.012, 0.02]
    (folder / "here").mkdir(parents=True)
    made = {
        "commit_hash": COMMIT,
        "env_name": "virtualenv-py3.11",
        "date": 1700000000000,
        "params": {"machine": "here"},
        "result_columns": ["result", "params", "version"],
        "results": {
            "step.Step.time_step": [
                values,
                [[repr(n) for n in names], [str(s) for s in sizes], [str(t) for t in tensors]],
                "1",
            ],
            "step.MemoryBound.track_bandwidth_gap": [[1.5], [], "1"],
        },
        "version": 2,
    }
    (folder / "here" / "cccccccc-env.json").write_text(json.dumps(made))
    declared = {
        "step.Step.time_step": {
            "param_names": ["optimizer", "parameters", "tensors"],
            "unit": "seconds",
            "type": "time",
        },
        "step.MemoryBound.track_bandwidth_gap": {
            "param_names": [],
            "unit": "times the memory bound",
            "type": "track",
        },
        "version": 2,
    }
    (folder / "benchmarks.json").write_text(json.dumps(declared))


def test_costs_are_those_of_the_fewest_tensors_and_the_bound_is_fused_adams(
    tmp_path: Path,
) -> None:
    timings(tmp_path / "asv")
    found = costs(tmp_path / "asv")
    assert found is not None
    drawn = found.steps.set_index(["optimizer", "parameters"])["seconds"]
    assert drawn["adam", 1000] == 1e-4
    assert drawn["adam[fused]", 10_000_000] == 0.012
    assert len(drawn) == 4
    bound = found.bound.set_index("parameters")["seconds"]
    assert math.isclose(bound[10_000_000], 0.012 / 1.5)
    assert math.isclose(bound[1000] * 10_000, bound[10_000_000])
    assert COMMIT[:10] in found.where


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("postgresql://anna:secret@host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=anna&password=secret", "postgresql://host/db"),
        ("postgresql://anna:sec@ret@host/db", "postgresql://host/db"),
        ("://secret", "a store"),
        ("/home/anna/results.sqlite", "results.sqlite"),
        ("/work/here/.optbench/results.sqlite", ".optbench/results.sqlite"),
        ("../results.sqlite", "../results.sqlite"),
    ],
)
def test_a_store_is_shown_without_what_is_nobodys_business(store: str, said: str) -> None:
    assert public(store, Path("/work/here")) == said


def test_two_stores_without_a_run_in_common_are_refused(optbench: Optbench, store: Path) -> None:
    optbench("run", "-o", "sgd", "-p", "quadratic", "--budget", "9", "--seeds", "2", "--store", "b")
    code, _, err = optbench("report", "--compare-stores", store, "b")
    assert code == 2
    assert "have no run in common" in " ".join(err.split())


@pytest.mark.parametrize("sizes", [["'small'"], ["9" * 30]])
def test_timings_of_another_form_are_passed_over(
    tmp_path: Path, sizes: list[str], optbench: Optbench
) -> None:
    timings(tmp_path / "asv")
    file = tmp_path / "asv" / "here" / "cccccccc-env.json"
    made = json.loads(file.read_text())
    made["results"]["step.Step.time_step"] = [[1.0], [["'adam'"], sizes, ["1"]], "1"]
    file.write_text(json.dumps(made))
    assert costs(tmp_path / "asv") is None
