"""The quick suite, shortened, from the command to the page: same seeds, same bits."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

import optbench
from optbench.engine.plan import plan
from optbench.engine.suites import CLASSICS, SUITES

pytestmark = pytest.mark.proof

FAMILIES = {"convex", "landscape", "noisy", "counterexample", "network", "factorization"}
SOME = (
    *("run", "--tune", "--budget", 30, "--seeds", 4),
    *(word for name in ("sgd", "adam", "adafactor", "lion") for word in ("-o", name)),
    *(word for name in ("quadratic", "beale", "noisy-quadratic") for word in ("-p", name)),
    *(word for name in ("reddi", "network-2-3-1", "matrix-completion") for word in ("-p", name)),
)
NOT_REPEATABLE = ["run", "seconds_per_step", "seconds", "environment", "commit"]


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OPTBENCH_")}
    return subprocess.run(
        [Path(sys.executable).with_name("optbench"), *map(str, arguments)],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class Filled(NamedTuple):
    """A folder with a store of the quick suite, and what was said when it was filled."""

    folder: Path
    err: str

    @property
    def store(self) -> Path:
        return self.folder / ".optbench" / "results.sqlite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("whole")
    ended = command("run", "--suite", "quick", "--budget", 30, "--jobs", 2, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return Filled(folder, ended.stderr)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Filled]:
    """By the number of workers: a problem of each family, methods of four kinds, tuned."""
    found = {}
    for jobs in (1, 2):
        folder = tmp_path_factory.mktemp(f"jobs{jobs}")
        ended = command(*SOME, "--jobs", jobs, cwd=folder)
        assert ended.returncode == 0, ended.stderr
        found[jobs] = Filled(folder, ended.stderr)
    return found


def test_it_is_the_whole_suite_and_nothing_failed(whole: Filled) -> None:
    count = len(plan(SUITES["quick"].selections).runs)
    runs = optbench.load(str(whole.store)).runs
    assert len(runs) == count > 5000
    assert set(runs["status"]) == {"ok", "diverged"}
    assert set(runs["optimizer"]) == set(CLASSICS)
    assert len(CLASSICS) >= 14
    assert runs["problem"].nunique() >= 12
    assert set(runs["family"]) == FAMILIES
    assert set(runs["default"]) == {True, False}
    assert f"{count:,} done in" in whole.err


def test_one_worker_and_two_give_equal_frames(filled: dict[int, Filled]) -> None:
    frames = {}
    for jobs, one in filled.items():
        results = optbench.load(str(one.store))
        place = {number: i for i, number in enumerate(results.runs["run"])}
        targets = results.targets.assign(run=results.targets["run"].map(place))
        frames[jobs] = (
            results.runs.drop(columns=NOT_REPEATABLE),
            targets.sort_values(["run", "target"], ignore_index=True),
            results.problems,
        )
    for one, two in zip(frames[1], frames[2], strict=True):
        assert not one.empty
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_one_worker_and_two_leave_the_same_bytes_of_traces(filled: dict[int, Filled]) -> None:
    query = """
        select runs.key, metric, schedules.steps, traces."values"
        from traces join runs on runs.id = run_id join schedules on schedules.id = schedule_id
        order by runs.key, metric
    """
    rows = {}
    for jobs, one in filled.items():
        connection = sqlite3.connect(one.store)
        rows[jobs] = connection.execute(query).fetchall()
        connection.close()
    assert len(rows[1]) > 500
    assert rows[1] == rows[2]


def test_a_second_run_computes_nothing(filled: dict[int, Filled]) -> None:
    again = command(*SOME, cwd=filled[2].folder)
    assert again.returncode == 0
    assert ", 0 done in" in again.stderr
    assert "runs to do" not in again.stderr


def test_a_report_is_of_all_of_it(whole: Filled) -> None:
    ended = command("report", cwd=whole.folder)
    assert ended.returncode == 0, ended.stderr
    page = Path(ended.stdout.strip())
    assert page == whole.folder / "reports" / "latest" / "index.html"
    text, plain = page.read_text("utf-8"), (page.parent / "report.md").read_text("utf-8")
    for said in (text, plain):
        assert [name for name in CLASSICS if name not in said] == []
        assert [family for family in FAMILIES if family not in said] == []
        for league in ("default", "tuned"):
            assert league in said.lower()
    tables = {path.stem: pd.read_csv(path) for path in (page.parent / "tables").glob("*.csv")}
    for league in ("default", "tuned"):
        assert set(tables[f"ranking-{league}"]["optimizer"]) == set(CLASSICS)
    assert len(tables["runs"]) == len(optbench.load(str(whole.store)).runs)
    # It opens without a network: nothing on it is fetched.
    for fetched in ("src=", "@import", "<link", "url(http"):
        assert fetched not in text
    assert list((page.parent / "figures").glob("convergence*.svg"))
