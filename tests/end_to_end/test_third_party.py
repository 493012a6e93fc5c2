"""Somebody else's optimizers and problems: by entry point, and by name, in worker processes too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from optbench.store import Store

pytestmark = pytest.mark.proof

PACKAGE = {
    "theirs/__init__.py": """
        import numpy as np
        import torch

        from optbench.optimizers import Optimizer, Route
        from optbench.problems import Problem


        class HalfSgd(torch.optim.SGD):
            def __init__(self, params, lr=0.02):
                super().__init__(params, lr=lr / 2)


        ROWS = [
            Optimizer("their-adam", torch.optim.Adam, {"lr": 0.1}, {"lr": (0.1, 1.0)},
                      Route.STACK, "Somebody 2026"),
            Optimizer("their-sgd", torch.optim.SGD, {"lr": 0.1}, {"lr": (0.1,)},
                      Route.STACK, "Somebody 2026"),
        ]


        class Bowl(Problem):
            family = "convex"

            def start(self, rng):
                return {"x": rng.normal(size=5)}

            def loss(self, params, batch):
                return params["x"].square().sum(-1)


        def bowl():
            return Bowl("their-bowl", budget=40)


        def refuse():
            raise RuntimeError("not today")
    """,
    "theirs-1.2.dist-info/METADATA": """
        Metadata-Version: 2.1
        Name: theirs
        Version: 1.2
    """,
    "theirs-1.2.dist-info/RECORD": "theirs/__init__.py,,\n",
    "theirs-1.2.dist-info/top_level.txt": "theirs\n",
    "theirs-1.2.dist-info/entry_points.txt": """
        [optbench.optimizers]
        half-sgd = theirs:HalfSgd
        rows = theirs:ROWS
        gone = theirs:Missing

        [optbench.problems]
        their-bowl = theirs:bowl
        refusing = theirs:refuse
    """,
}

USERS = """
    import numpy as np
    import torch
    from optbench.problems import module_problem

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]])
    line = module_problem(
        "line", lambda: torch.nn.Linear(3, 1), torch.nn.functional.mse_loss,
        (x[:40], y[:40]), (x[40:], y[40:]), budget=100, batch_size=8,
    )

    class MySgd(torch.optim.SGD):
        pass
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as pip would leave it; only PYTHONPATH says that it is there."""
    site = tmp_path / "site"
    for name, text in PACKAGE.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip(), "utf-8")
    return site


def command(*arguments: object, cwd: Path, site: Path | None = None) -> tuple[int, str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPTBENCH_")}
    if site is not None:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), env.get("PYTHONPATH")]))
    ended = subprocess.run(
        [Path(sys.executable).with_name("optbench"), *map(str, arguments)],
        cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def runs(folder: Path) -> pd.DataFrame:
    with Store(str(folder / ".optbench" / "results.sqlite")) as store:
        return store.runs()


def test_an_installed_package_adds_its_own_to_the_lists(installed: Path, tmp_path: Path) -> None:
    code, out, err = command("list", "optimizers", "--json", cwd=tmp_path, site=installed)
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["their-adam"]["cite"] == rows["their-sgd"]["cite"] == "Somebody 2026"
    assert rows["half-sgd"]["defaults"] == {"lr": 0.02}
    assert rows["half-sgd"]["route"] == "instance"
    assert "adam" in rows
    # What does not load is said, and takes nothing else down.
    assert err.startswith("not loaded: entry point gone: theirs:Missing: AttributeError: ")

    code, out, err = command("list", "problems", cwd=tmp_path, site=installed)
    assert code == 0
    assert "\ntheir-bowl " in out
    assert "\nquadratic " in out
    assert err == (
        "not loaded: entry point refusing: theirs:refuse: "
        "NotAdoptable: 'refusing' raised RuntimeError: not today\n"
    )


def test_they_are_not_there_without_the_package(tmp_path: Path) -> None:
    code, out, err = command("list", "optimizers", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "their-adam" not in out


def test_an_installed_package_s_own_run_in_workers_beside_ours(
    installed: Path, tmp_path: Path
) -> None:
    code, _, err = command(
        *("run", "-o", "their-*", "-o", "half-sgd", "-o", "sgd", "--lr", 0.01, "--lr", 0.005),
        *("-p", "their-bowl", "-p", "beale", "--seeds", 2, "--jobs", 2),
        cwd=tmp_path, site=installed,
    )  # fmt: skip
    assert code == 0, err
    frame = runs(tmp_path).set_index(["optimizer", "problem", "lr", "seed"])
    assert len(frame) == 4 * 2 * 2 * 2
    assert set(frame["status"]) == {"ok"}
    ends = frame["final_gap"]
    assert ends["their-sgd"].equals(ends["sgd"])
    half = [ends["half-sgd", "their-bowl", 0.01, seed] for seed in (0, 1)]
    assert half == [ends["sgd", "their-bowl", 0.005, seed] for seed in (0, 1)]
    # Whose code ran is on record: a new version of theirs runs again.
    codes = frame["code"].groupby("optimizer").first()
    assert "theirs=1.2" in codes["half-sgd"]
    assert "theirs" not in codes["sgd"]


def test_a_new_version_of_their_code_is_run_again(installed: Path, tmp_path: Path) -> None:
    arguments = ("run", "-o", "half-sgd", "-o", "sgd", "-p", "beale", "--budget", 5, "--jobs", 1)
    assert command(*arguments, cwd=tmp_path, site=installed)[0] == 0
    source = installed / "theirs" / "__init__.py"
    source.write_text(source.read_text().replace("lr / 2", "lr / 4"))
    code, _, err = command(*arguments, cwd=tmp_path, site=installed)
    assert code == 0
    assert "8 runs: 4 were in the store, 4 done" in err
    assert runs(tmp_path)["optimizer"].value_counts().to_dict() == {"half-sgd": 8, "sgd": 4}


def test_a_user_s_own_module_and_optimizer_by_name_in_workers(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(dedent(USERS))
    code, _, err = command(
        *("run", "-o", "mine:MySgd", "-o", "sgd", "-p", "mine:line", "-p", "beale"),
        *("--lr", "0.05", "--seeds", 2, "--jobs", 2),
        cwd=tmp_path,
    )
    assert code == 0, err
    frame = runs(tmp_path)
    assert set(frame["problem"]) == {"mine:line", "beale"}
    ends = frame.groupby("optimizer")["final_gap"].apply(list)
    assert ends["mine:MySgd"] == ends["sgd"]
    line = frame[frame["problem"] == "mine:line"]
    assert (line["final_gap"] < 0.1 * line["initial_gap"]).all()
