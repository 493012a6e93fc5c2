"""``optbench run`` on small real runs: what it does, what it says, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from optbench.engine.suites import TRIED_SCHEDULES
from optbench.optimizers import OPTIMIZERS
from optbench.store import Store

if TYPE_CHECKING:
    from conftest import Optbench

QUICK = ("--budget", 10, "--jobs", 1)
DEFAULT = ".optbench/results.sqlite"


def runs(store: str = DEFAULT) -> pd.DataFrame:
    with Store(store) as opened:
        return opened.runs()


def write(name: str, text: str) -> None:
    Path(name).write_text(dedent(text), "utf-8")


def test_a_run_is_kept_in_the_default_store(optbench: Optbench) -> None:
    code, out, err = optbench("run", "-o", "sgd", "-p", "beale", "--seeds", 2, *QUICK)
    assert (code, out) == (0, "")
    assert "2 runs to do, 0 in the store" in err
    assert "2 runs: 0 were in the store, 2 done in" in err
    assert "(2 ok)" in err
    frame = runs()
    assert frame["optimizer"].tolist() == ["sgd", "sgd"]
    assert frame["seed"].tolist() == [0, 1]
    assert (frame["budget"] == 10).all()
    assert (frame["steps"] == 10).all()


def test_a_second_run_computes_nothing(optbench: Optbench) -> None:
    command = ("run", "-o", "sgd", "-p", "beale", *QUICK)
    optbench(*command)
    before = runs()
    code, _, err = optbench(*command)
    assert code == 0
    assert err == "4 runs: 4 were in the store, 0 done in 0 s\n"
    pd.testing.assert_frame_equal(runs(), before)


def test_again_computes_all_of_them(optbench: Optbench) -> None:
    command = ("run", "-o", "sgd", "-p", "beale", *QUICK)
    optbench(*command)
    code, _, err = optbench(*command, "--again")
    assert code == 0
    assert "4 runs: 0 were in the store, 4 done" in err
    assert len(runs()) == 4


@pytest.mark.parametrize(
    ("given", "seeds"),
    [("2", [0, 1]), ("3,5-6", [3, 5, 6]), ("7,7", [7]), ("10-11,0", [0, 10, 11]), ("4,", None)],
)
def test_seeds_are_a_count_a_list_or_a_range(
    optbench: Optbench, given: str, seeds: list[int] | None
) -> None:
    code, _, err = optbench("run", "-o", "sgd", "-p", "beale", "--seeds", given, *QUICK)
    if seeds is None:
        assert code == 2
        assert "seeds are a count (8), a list (3,5,8) or a range (10-19), not '4,'" in err
    else:
        assert code == 0
        assert runs()["seed"].tolist() == seeds


def test_learning_rates_take_the_place_of_the_default(optbench: Optbench) -> None:
    optbench(
        *("run", "-o", "adam", "-p", "beale", "--seeds", 1, *QUICK),
        *("--lr", 0.5, "--lr", "1e-3"),
    )
    assert dict(zip(runs()["lr"], runs()["default"], strict=True)) == {0.5: False, 1e-3: True}


def test_a_setting_reaches_the_optimizer(optbench: Optbench) -> None:
    command = ("run", "-o", "adam", "-p", "beale", "--seeds", 1, *QUICK)
    code, _, _ = optbench(*command, "--set", "betas=0.5,0.75", "--set", "amsgrad=true")
    assert code == 0
    optbench(*command)
    frame = runs()
    others = [json.loads(each) for each in frame.sort_values("default")["hyperparameters"]]
    assert others == [{"amsgrad": True, "betas": [0.5, 0.75]}, {}]
    assert frame["final_gap"].nunique() == 2
    assert frame["default"].sum() == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1", 0.1), ("1e-2", 0.01), ("True", True), ("false", False), ("none", None), ("a b", "a b"),
     ("0.9,0.99", [0.9, 0.99]), ("(1, 2)", [1, 2]), ("'0.1'", "0.1"), ("x=1", "x=1")],
)  # fmt: skip
def test_a_setting_is_a_literal_or_else_a_word(text: str, value: object) -> None:
    from optbench.cli.options import parse_settings

    found = parse_settings([f" key = {text}"])
    assert json.loads(json.dumps(found)) == {"key": value}
    assert type(found["key"]) is (tuple if isinstance(value, list) else type(value))


def test_tune_runs_the_search_space_beside_the_default(optbench: Optbench) -> None:
    code, _, _ = optbench("run", "-o", "lbfgs", "-p", "beale", "--seeds", 1, "--tune", *QUICK)
    assert code == 0
    frame = runs()
    space, default = OPTIMIZERS["lbfgs"].space["lr"], OPTIMIZERS["lbfgs"].defaults["lr"]
    assert sorted(frame["lr"]) == sorted({*space, default})
    assert frame.loc[frame["default"], "lr"].tolist() == [default]


def test_a_schedule_is_run_beside_the_setting_without_it(optbench: Optbench) -> None:
    command = ("run", "-o", "adam", "-p", "beale", "--seeds", 1, "--lr", 0.1, *QUICK)
    code, _, _ = optbench(*command, "--schedule", "cosine", "--schedule", "step")
    assert code == 0
    frame = runs().set_index("lr_schedule")
    assert sorted(frame.index) == ["", "cosine", "step"]
    assert frame["final_gap"].nunique() == 3
    assert not frame["default"].any()
    assert json.loads(frame["hyperparameters"]["cosine"]) == {"lr_schedule": "cosine"}
    code, _, err = optbench(*command, "--set", "lr_schedule=cosine")
    assert code == 0
    assert "1 runs: 1 were in the store, 0 done" in err


def test_a_mistyped_schedule_is_wrong_use(optbench: Optbench) -> None:
    code, _, err = optbench("run", "-o", "adam", "-p", "beale", "--schedule", "cosin", *QUICK)
    assert code == 2
    assert "unknown schedule 'cosin'; did you mean 'cosine'" in err


def test_globs_and_variants_name_optimizers_and_problems(optbench: Optbench) -> None:
    code, _, _ = optbench(
        *("run", "-o", "ada?", "-o", "adam[fused]", "-o", "sgd"),
        *("-p", "b*le", "-p", "beale", "--seeds", 1, *QUICK),
    )
    assert code == 0
    assert sorted(runs()["optimizer"]) == ["adam", "adam[fused]", "sgd"]
    assert set(runs()["problem"]) == {"beale"}


def test_a_glob_leaves_out_what_an_optimizer_cannot_run_on(optbench: Optbench) -> None:
    code, _, err = optbench(
        *("run", "-o", "muon", "-o", "sgd", "-p", "beale", "-p", "matrix-completion"),
        *("--seeds", 1, *QUICK),
    )
    assert code == 0
    assert "left out: muon on beale: no parameter of it is a matrix" in err
    assert sorted(zip(runs()["optimizer"], runs()["problem"], strict=True)) == [
        ("muon", "matrix-completion"),
        ("sgd", "beale"),
        ("sgd", "matrix-completion"),
    ]


def test_a_dry_run_counts_and_makes_nothing(optbench: Optbench, workplace: Path) -> None:
    code, out, err = optbench("run", "-o", "sgd", "-o", "adam", "-p", "*ic*", "--dry-run")
    assert (code, out) == (0, "")
    count, pairs = (int(word) for word in err.split() if word.isdigit())
    assert count == 4 * pairs
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize("suite", ["smoke", "quick"])
def test_a_suite_is_narrowed_down_by_options(optbench: Optbench, suite: str) -> None:
    _, _, err = optbench("run", "--suite", suite, "--seeds", 1, "--lr", 0.01, "--dry-run")
    count, pairs = (int(word.replace(",", "")) for word in err.split() if word[0].isdigit())
    # In quick, adam and sgd on the cliff.
    scheduled = 2 * len(TRIED_SCHEDULES) if suite == "quick" else 0
    assert count == pairs + scheduled > 10


def test_without_names_it_is_the_quick_suite(optbench: Optbench) -> None:
    assert optbench("run", "--dry-run") == optbench("run", "--suite", "quick", "--dry-run")


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"], ids=["path", "url"])
@pytest.mark.parametrize("way", ["option", "variable"])
def test_the_store_is_a_path_or_a_url_by_option_or_variable(
    optbench: Optbench, workplace: Path, monkeypatch: pytest.MonkeyPatch, form: str, way: str
) -> None:
    named = form.format(workplace / "sub" / "mine.sqlite")
    if way == "variable":
        monkeypatch.setenv("OPTBENCH_STORE", named)
    given = ("--store", named) if way == "option" else ()
    code, _, _ = optbench("run", "-o", "sgd", "-p", "beale", "--seeds", 1, *QUICK, *given)
    assert code == 0
    assert len(runs("sub/mine.sqlite")) == 1
    assert not Path(DEFAULT).exists()
    assert optbench("export", *given).out.count("\n") == 2


def test_the_option_has_the_last_word_on_the_store(
    optbench: Optbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTBENCH_STORE", "theirs.sqlite")
    optbench("run", "-o", "sgd", "-p", "beale", *QUICK, "--store", "mine.sqlite")
    assert Path("mine.sqlite").exists()
    assert not Path("theirs.sqlite").exists()


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_runs_of_another_dtype_are_runs_of_their_own(optbench: Optbench, dtype: str) -> None:
    command = ("run", "-o", "sgd", "-p", "beale", "--seeds", 1, *QUICK)
    optbench(*command)
    code, _, err = optbench(*command, "--dtype", dtype)
    assert code == 0
    assert "1 runs: 0 were in the store, 1 done" in err
    frame = runs().set_index("dtype")
    assert set(frame.index) == {"float32", dtype}
    assert frame.loc["float32", "final_gap"] != frame.loc[dtype, "final_gap"]


def test_a_data_parallel_run_is_a_variant_of_a_run(optbench: Optbench) -> None:
    command = ("run", "-o", "sgd", "-p", "wilson", "--seeds", 1, *QUICK)
    optbench(*command)
    code, _, err = optbench(*command, "--ddp", 2)
    assert code == 0, err
    assert "1 runs: 0 were in the store, 1 done" in err
    frame = runs().set_index("hyperparameters")
    assert set(frame.index) == {"{}", '{"ddp":2}'}
    one, two = (frame.loc[each] for each in ("{}", '{"ddp":2}'))
    assert (one["default"], two["default"]) == (True, False)
    assert two["final_gap"] == pytest.approx(one["final_gap"], rel=1e-5)
    _, _, err = optbench(*command, "--ddp", 2)
    assert "1 were in the store, 0 done" in err


def test_a_class_of_somebody_s_is_an_optimizer(optbench: Optbench) -> None:
    code, _, _ = optbench("run", "-o", "torch.optim:Adam", "-o", "adam", "-p", "beale", *QUICK)
    assert code == 0
    ends = runs().groupby("optimizer")["final_gap"].apply(list)
    assert ends["torch.optim:Adam"] == ends["adam"]


def test_a_diverged_run_is_no_failure(optbench: Optbench) -> None:
    code, _, err = optbench("run", "-o", "sgd", "-p", "beale", "--lr", 1e6, "--seeds", 1, *QUICK)
    assert code == 0
    assert "(1 diverged)" in err


BAD = """
    import pathlib
    import torch

    class Bad(torch.optim.SGD):
        def step(self, closure=None):
            if pathlib.Path("trouble").exists():
                raise RuntimeError("[bold]out of :boom: luck")
            return super().step(closure)
"""


def test_a_failing_optimizer_fails_alone_is_listed_and_is_run_again(optbench: Optbench) -> None:
    write("my_failing.py", BAD)
    Path("trouble").touch()
    command = ("run", "-o", "my_failing:Bad", "-o", "sgd", "-p", "beale", "--seeds", 2, *QUICK)
    code, out, err = optbench(*command)
    assert (code, out) == (1, "")
    assert "(2 failed, 2 ok)" in err
    # As the exception has it: neither markup nor emoji.
    assert "failed: my_failing:Bad on beale, 2 runs: RuntimeError: [bold]out of :boom: luck" in err
    assert "my_failing.py:8" in err
    assert "Traceback" not in err
    frame = runs().set_index("optimizer")
    assert set(frame.loc["my_failing:Bad", "status"]) == {"failed"}
    assert set(frame.loc["sgd", "status"]) == {"ok"}

    code, _, err = optbench(*command)
    assert code == 1
    assert "4 runs: 2 were in the store, 2 done" in err

    Path("trouble").unlink()
    code, _, err = optbench(*command)
    assert code == 0
    assert "4 runs: 2 were in the store, 2 done" in err
    ends = runs().groupby("optimizer")["final_gap"].apply(list)
    assert ends["my_failing:Bad"] == ends["sgd"]


def test_many_kinds_of_failure_are_cut_short(optbench: Optbench) -> None:
    write(
        "my_many.py",
        """
        import torch

        class Bad(torch.optim.SGD):
            def step(self, closure=None):
                raise RuntimeError(f"lr is {self.param_groups[0]['lr']}")
        """,
    )
    rates = [word for i in range(1, 14) for word in ("--lr", i / 100)]
    code, _, err = optbench("run", "-o", "my_many:Bad", "-p", "beale", "--seeds", 1, *rates, *QUICK)
    assert code == 1
    assert err.count("failed: my_many:Bad on beale, 1 run: RuntimeError: lr is 0.") == 10
    assert "and 3 more kinds of failure: optbench export lists every run" in err


def test_a_module_problem_of_somebody_s_is_a_problem(optbench: Optbench) -> None:
    write(
        "my_problem.py",
        """
        import numpy as np
        import torch
        from optbench.problems import module_problem

        rng = np.random.default_rng(0)
        x = rng.normal(size=(60, 3))
        y = x @ np.array([[1.0], [-2.0], [0.5]])

        line = module_problem(
            "line", lambda: torch.nn.Linear(3, 1), torch.nn.functional.mse_loss,
            (x[:40], y[:40]), (x[40:], y[40:]), budget=200, batch_size=8,
        )

        def made():
            return module_problem(
                "made", lambda: torch.nn.Linear(3, 1), torch.nn.functional.mse_loss,
                (x[:40], y[:40]), (x[40:], y[40:]), budget=200, batch_size=8,
            )
        """,
    )
    command = ("run", "-o", "sgd", "-o", "adam", "--lr", 0.1, "--seeds", 2, "--jobs", 1)
    code, _, err = optbench(*command, "-p", "my_problem:made", "-p", "my_problem:line")
    assert code == 0, err
    frame = runs()
    assert frame.groupby("problem").size().to_dict() == {
        "my_problem:line": 4,
        "my_problem:made": 4,
    }
    assert set(frame["data"]) == {"user"}
    assert (frame["budget"] == 200).all()
    assert (frame["final_gap"] < 0.01 * frame["initial_gap"]).all()


@pytest.mark.parametrize("name", ["mine", "adam"])
def test_a_row_of_somebody_s_is_an_optimizer_of_its_own(optbench: Optbench, name: str) -> None:
    write(
        f"my_row_{name}.py",
        f"""
        import torch
        from optbench.optimizers import Optimizer, Route

        row = Optimizer("{name}", torch.optim.SGD, {{"lr": 0.001}}, {{}}, Route.STACK, "nobody")
        """,
    )
    code, _, err = optbench("run", "-o", f"my_row_{name}:row", "-o", "sgd", "-p", "beale", *QUICK)
    assert code == 0, err
    ends = runs().groupby("optimizer")["final_gap"].apply(list)
    assert ends[f"my_row_{name}:row"] == ends["sgd"]


@pytest.mark.proof
def test_the_installed_command_is_the_same(workplace: Path) -> None:
    script = Path(sys.executable).with_name("optbench")
    ended = subprocess.run(
        [script, "run", "-o", "sgd", "-p", "beale", "--seeds", "1", "--budget", "5", "-j", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "(1 ok)" in ended.stderr
    assert ended.stdout == ""
    assert len(runs()) == 1
