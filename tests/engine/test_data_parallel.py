"""A gradient that several processes compute is that of one, and nothing of them stays behind."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from optbench.engine import data_parallel
from optbench.engine.data_parallel import RankFailed, perform_together
from optbench.engine.identity import key
from optbench.engine.lanes import advance
from optbench.engine.plan import NoSuchDevice, NothingToRun, Selection, plan
from optbench.engine.runs import Result, Run, Status, Trace, frozen
from optbench.engine.work import perform
from optbench.optimizers import OPTIMIZERS, Optimizer, Route, WrongHyperparameter
from optbench.problems import PROBLEMS
from optbench.runner.packing import pack

F64 = torch.float64

TRAINED = (
    *(("sgd", "mnist-mlp", {"lr": 0.05}), ("sgd", "noisy-rosenbrock", {"lr": 1e-4})),
    *(("adam", "mnist-mlp", {"lr": 0.01}), ("adam", "noisy-rosenbrock", {"lr": 0.01})),
    *(("lion", "mnist-mlp", {"lr": 0.001}), ("lion", "noisy-rosenbrock", {"lr": 0.001})),
    ("adam", "mnist-mlp-8", {"lr": 0.01, "lr_schedule": "cosine"}),
)
OTHERS = (
    # Factors of a matrix on the route GROUPS; gradients made sparse; batches of 32 and of 24.
    *(("muon", "mnist-mlp"), ("sparseadam", "sparse-logistic"), ("momentum", "wilson")),
    # 100 points, which four processes divide evenly and three do not.
    *(("adafactor", "deep-tanh"), ("torch.optim:Adam", "mnist-logistic")),
)


def made(optimizer: str, problem: str, budget: int, settings: Mapping[str, Any]) -> Run:
    row = OPTIMIZERS[optimizer]
    return Run(row.name, frozen({**row.defaults, **settings}), problem, 1, "", 3, budget, "float64")


def trajectories(world: int | None) -> list[Run]:
    ddp = {} if world is None else {"ddp": world}
    chosen = [made(o, p, 25, {**settings, **ddp}) for o, p, settings in TRAINED]
    # The last one diverges, which is noticed on the way: then all of them must stop.
    lost = made("sgd", "wilson", 300, {"lr": 100.0, **ddp})
    return [*chosen, *(made(o, p, 12, ddp) for o, p in OTHERS), lost]


def train(runs: list[Run], certify: bool) -> list[Result]:
    """Whole trajectories in float64, one after the other, of two lanes."""
    done = []
    for run in runs:
        found = advance(
            OPTIMIZERS[run.optimizer], PROBLEMS[run.problem], [run.settings] * 2, [run.seed, 4],
            run.budget, dtype=F64,
        )  # fmt: skip
        ends = {k: Trace(found.steps, v.numpy()) for k, v in found.params.items()}
        done.append(Result(run, Status.OK, traces={"gap": Trace(found.steps, found.gaps), **ends}))
    return done


@pytest.fixture(scope="module")
def alone() -> list[Result]:
    return train(trajectories(None), False)


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.proof)])
def test_several_processes_go_as_one_on_the_joint_batch(world: int, alone: list[Result]) -> None:
    runs = trajectories(world)
    together = perform_together(train, runs, False)
    assert [result.run for result in together] == runs
    ends = [each[-1].traces["gap"].steps[-1] for each in (together, alone)]
    assert ends == [128, 128]
    for ours, theirs in zip(together[:-1], alone[:-1], strict=True):
        who = f"{ours.run.optimizer} on {ours.run.problem}"
        assert ours.traces.keys() == theirs.traces.keys()
        for name, trace in theirs.traces.items():
            if name == "gap" and not PROBLEMS[ours.run.problem].deterministic:
                assert ours.traces[name].steps.tolist() == trace.steps.tolist()
            assert np.isfinite(trace.values).all()
            scale = np.abs(trace.values).max()
            error = np.abs(ours.traces[name].values - trace.values).max()
            assert error <= 1e-10 * scale, f"{name} of {who}: {error / scale}"
    assert not multiprocessing.active_children()


def rank() -> int:
    return torch.distributed.get_rank()


def one_raises(runs: list[Run], certify: bool) -> list[Result]:
    if rank() == 1:
        raise ValueError("I do not care for this batch")
    return train(runs, certify)


def one_dies(runs: list[Run], certify: bool) -> list[Result]:
    if rank() == 1:
        os._exit(7)
    torch.distributed.barrier()
    return []


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (one_raises, "in process 1 of 2: ValueError: I do not care for this batch"),
        (one_dies, "in process 1 of 2: the process ended with status 7"),
    ],
)
def test_who_raises_or_dies_is_named_and_ends_the_others(do: Any, said: str) -> None:
    """The neighbour waits for its part of the gradient, or says that a connection is gone."""
    begun = time.monotonic()
    with pytest.raises(RankFailed, match=said):
        perform_together(do, [made("sgd", "wilson", 5, {"ddp": 2})], False)
    assert time.monotonic() - begun < 60
    assert not multiprocessing.active_children()


def test_a_failed_process_fails_the_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = plan([Selection(optimizers=("sgd",), problems=("wilson",), ddp=2, seeds=(0,))]).runs

    def fail(*_: object) -> None:
        raise RankFailed("in process 1 of 2: gone")

    monkeypatch.setattr("optbench.engine.work.perform_together", fail)
    (result,) = perform(pack([run])[0])
    assert result.status is Status.FAILED
    assert "in process 1 of 2: gone" in (result.error or "")


def test_the_cause_is_told_and_not_what_a_neighbour_saw() -> None:
    assert data_parallel._is_hearsay("RuntimeError: [gloo/transport/tcp/pair.cc] Connection closed")
    assert not data_parallel._is_hearsay("ValueError: lr must be positive")


@pytest.mark.proof
def test_a_data_parallel_run_is_a_run_like_others() -> None:
    """Planned, packed, performed, priced: by the unit, with lanes of two rates."""
    select = Selection(optimizers=("adam",), problems=("wilson",), rates=(1e-3, 1e-2),
                       seeds=(0,), budget=40)  # fmt: skip
    one = plan([select], dtype="float64").runs
    two = plan([select.model_copy(update={"ddp": 2})], dtype="float64").runs
    (unit,) = pack(two)
    results = dict(zip((run.settings["lr"] for run in unit.runs), perform(unit), strict=True))
    for theirs in (result for unit in pack(one) for result in perform(unit)):
        ours = results[theirs.run.settings["lr"]]
        assert ours.run.settings["ddp"] == 2
        assert ours.status is Status.OK, ours.error
        assert ours.final_gap == pytest.approx(theirs.final_gap, rel=1e-10)
        assert (ours.steps, ours.hits) == (theirs.steps, theirs.hits)
        assert ours.state_bytes == theirs.state_bytes
        assert ours.seconds_per_step is not None


# Planning.


def select(*optimizers: str, on: str = "wilson", **rest: Any) -> Selection:
    return Selection(optimizers=optimizers, problems=(on,), seeds=(0,), **rest)


def test_it_is_a_hyperparameter_of_the_run_and_no_default() -> None:
    (one,), (two,) = (plan([select("adam", ddp=ddp)]).runs for ddp in (None, 2))
    assert two.settings == {**one.settings, "ddp": 2}
    assert (one.default, two.default) == (True, False)
    assert key(one) != key(two)
    (same,) = plan([select("adam", settings={"ddp": 2})]).runs
    assert same == two
    assert key(same) == key(two)


def test_units_do_not_mix_numbers_of_processes() -> None:
    runs = plan([select("adam", ddp=ddp) for ddp in (None, 2, 3)]).runs
    assert sorted(len(unit.runs) for unit in pack(runs)) == [1, 1, 1]


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (select("lbfgs", ddp=2), "asks for the loss itself, of which a process knows its part"),
        (select("adam", on="quadratic", ddp=2), "cannot be divided among processes"),
        (select("adam", ddp=25), "its loss has 24 parts, too few for 25 processes"),
    ],
)
def test_what_cannot_be_divided_is_left_out_with_the_reason(selection: Any, said: str) -> None:
    with pytest.raises(NothingToRun, match=said):
        plan([selection])


@pytest.mark.parametrize("value", [1, 0, True, 2.0, "2"])
def test_a_number_of_processes_is_two_or_more(value: object) -> None:
    with pytest.raises(WrongHyperparameter, match="ddp must be a number of processes, at least 2"):
        plan([select("adam", settings={"ddp": value})])


class Divided(torch.optim.SGD):
    def __init__(self, params: Any, lr: float = 0.1, ddp: int = 1) -> None:
        super().__init__(params, lr)


def test_an_optimizer_with_a_ddp_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Optimizer("divided", Divided, {"lr": 0.1}, {}, Route.STACK, "nobody")
    monkeypatch.setitem(OPTIMIZERS._entries, "divided", row)
    with pytest.raises(WrongHyperparameter, match="takes a ddp of its own"):
        plan([select("divided", ddp=2)])
    with pytest.raises(ValueError, match="ddp is set per run, not in a row"):
        replace(row, defaults={"lr": 0.1, "ddp": 2})


def test_where_the_processes_cannot_talk_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_backend_available", lambda name: name == "mpi")
    with pytest.raises(NoSuchDevice, match="data-parallel runs on cpu need gloo"):
        plan([select("adam", ddp=2)])


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.engine.plan import check_processes
    from optbench.engine.ranks import own_device

    monkeypatch.setattr(torch.distributed, "is_backend_available", lambda name: name == "nccl")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    cuda = torch.device("cuda:1")
    assert [str(own_device(cuda, rank)) for rank in (0, 1)] == ["cuda:1", "cuda:2"]
    check_processes(2, "cuda:1")
    with pytest.raises(NoSuchDevice, match="3 processes on cuda:1 take the GPUs up to cuda:3"):
        check_processes(3, "cuda:1")
