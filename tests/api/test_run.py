"""``optbench.run``: runs by keyword arguments, and classes of the caller's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import optbench
from optbench import by_value
from optbench.api.run import configure
from optbench.errors import WrongUse

HERE = {"jobs": 0, "budget": 30}


class Raises(torch.optim.SGD):
    """Fails at its first step."""

    def step(self, closure=None):
        raise RuntimeError("no step today")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


@pytest.fixture(autouse=True)
def nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept in ("_pickled", "_fingerprints", "_loaded"):
        monkeypatch.setattr(by_value, kept, {})


def statuses(results: optbench.Results) -> dict[str, list[str]]:
    return results.runs.groupby("optimizer")["status"].agg(list).to_dict()


def test_exactly_the_runs_that_were_asked_for_come_back(store: Path) -> None:
    optbench.run("adam", ["quadratic", "beale"], seeds=3, store=store, **HERE)
    results = optbench.run(["adam", "sgd"], "quadratic", seeds=(0, 2), store=store, **HERE)
    found = results.runs[["optimizer", "problem", "seed"]].to_numpy().tolist()
    assert found == [[name, "quadratic", seed] for name in ("adam", "sgd") for seed in (0, 2)]
    runs = set(results.runs["run"])
    assert set(results.targets["run"]) == set(results.traces["run"]) == runs
    assert results.problems["problem"].tolist() == ["quadratic"]
    assert set(results.environments["environment"]) == set(results.runs["environment"])


def test_what_the_store_holds_is_not_run_again(store: Path) -> None:
    first = optbench.run("adam", "quadratic", seeds=1, store=store, **HERE)
    second = optbench.run("adam", "quadratic", seeds=1, store=store, **HERE)
    assert first.runs["attempts"].tolist() == second.runs["attempts"].tolist() == [1]
    third = optbench.run("adam", "quadratic", seeds=1, store=store, again=True, **HERE)
    assert third.runs["attempts"].tolist() == [2]


def test_a_class_of_a_function_is_run_in_worker_processes_too(store: Path) -> None:
    class Half(torch.optim.SGD):
        def __init__(self, params, lr=0.01):
            super().__init__(params, lr=lr / 2)

    given = {"seeds": 2, "budget": 30, "store": store}
    results = optbench.run([Half, "sgd"], "quadratic", lr=0.01, jobs=1, **given)
    name = by_value.path_of(Half)
    gaps = results.runs.set_index(["optimizer", "seed"])["final_gap"]
    same = optbench.run("sgd", "quadratic", lr=0.005, jobs=0, **given)
    assert gaps[name].tolist() == same.runs["final_gap"].tolist()
    assert gaps[name].tolist() != gaps["sgd"].tolist()


def test_a_run_that_fails_is_among_the_results_and_warns(store: Path) -> None:
    with pytest.warns(UserWarning, match="failed: .*Raises on quadratic, 2 runs: .*no step today"):
        results = optbench.run([Raises, "sgd"], "quadratic", seeds=2, store=store, **HERE)
    assert statuses(results) == {by_value.path_of(Raises): ["failed"] * 2, "sgd": ["ok"] * 2}


def test_a_pair_that_cannot_run_warns(store: Path) -> None:
    with pytest.warns(UserWarning, match="left out: muon on quadratic: no parameter"):
        optbench.run(["muon", "sgd"], "quadratic", seeds=1, store=store, **HERE)


def test_settings_and_rates_are_those_of_the_runs(store: Path) -> None:
    results = optbench.run(
        "adam", "quadratic", lr=(0.1, 0.2), settings={"betas": (0.5, 0.9)}, seeds=1,
        store=store, **HERE,
    )  # fmt: skip
    assert results.runs["lr"].tolist() == [0.1, 0.2]
    assert all('"betas":[0.5,0.9]' in text for text in results.runs["hyperparameters"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"lr": 0.1, "tune": True}, "lr and tune exclude each other"),
        ({"jobs": 1, "dask": "local:1"}, "jobs and dask exclude each other"),
        ({"suite": "quick"}, "a suite names its optimizers and problems"),
        ({"lr": 0.1, "settings": {"lr": 0.2}}, "lr is given twice"),
        ({"seeds": "no"}, "seeds are a count"),
        ({"timeout": -1}, "timeout is a number of seconds"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_arguments_that_make_no_sense_are_refused(given: dict, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        configure("sgd", "quadratic", **given)


@pytest.mark.parametrize("given", [3, torch.nn.Linear, torch.optim.Optimizer])
def test_what_is_no_optimizer_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="is not an optimizer"):
        configure(given)


def test_a_class_that_only_this_process_knows_is_not_sent_to_a_cluster() -> None:
    class Mine(torch.optim.SGD): ...

    with pytest.raises(WrongUse, match="put it into a module that its workers have"):
        configure(Mine, "quadratic", dask="tcp://localhost:1")
    configure(Mine, "quadratic", dask="local:1")


def test_names_may_come_from_iterators(store: Path) -> None:
    results = optbench.run(iter(["sgd"]), iter(["quadratic"]), seeds=1, store=store, **HERE)
    assert statuses(results) == {"sgd": ["ok"]}
    with pytest.warns(UserWarning, match="left out: muon on quadratic"):
        optbench.run(iter(["muon", "sgd"]), iter(["quadratic"]), seeds=1, store=store, **HERE)
