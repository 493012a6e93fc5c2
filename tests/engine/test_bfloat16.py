"""Runs in bfloat16: trained in it, scored in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optbench.engine.lanes import advance
from optbench.engine.plan import Selection, plan
from optbench.engine.runs import Status
from optbench.engine.work import perform
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS
from optbench.problems.module import module_problem
from optbench.runner.packing import pack

BF16, CPU = torch.bfloat16, torch.device("cpu")


@pytest.mark.parametrize("name", ["quadratic", "styblinski-tang", "noisy-quadratic", "mnist-mlp"])
def test_the_gap_is_that_of_the_weights_in_float32(name: str) -> None:
    """With the constants unrounded: what the weights are worth, wherever they come from."""
    problem, adam = PROBLEMS[name], OPTIMIZERS["adam"]
    done = advance(adam, problem, [{"lr": 0.01}], [3], 30, dtype=BF16)
    assert {leaf.dtype for leaf in done.params.values()} == {BF16}
    weights = {key: leaf.float() for key, leaf in done.params.items()}
    scored = problem.bind(torch.float32, CPU).objective(weights).double().item()
    assert done.gaps[-1, 0] == scored - problem.minimum
    narrow = problem.bind(BF16, CPU).objective(done.params).double().item()
    assert narrow != scored  # or this would tell nothing


def test_it_is_seen_at_every_step_where_the_loss_is_the_objective() -> None:
    done = advance(OPTIMIZERS["sgd"], PROBLEMS["quadratic"], [{"lr": 0.1}], [0], 20, dtype=BF16)
    assert done.steps.tolist() == list(range(21))
    assert len(np.unique(done.gaps)) == 21


def test_gradients_and_state_are_bfloat16() -> None:
    """No copy in another dtype is kept for the optimizer: half of the bytes."""
    sizes = []
    for dtype in ("bfloat16", "float32"):
        runs = plan([Selection(optimizers=("momentum",), problems=("quadratic",), seeds=(0,),
                               budget=5)], dtype=dtype).runs  # fmt: skip
        (result,) = perform(pack(runs)[0])
        sizes.append(result.state_bytes)
    assert sizes == [200, 400]


@pytest.mark.proof
def test_every_optimizer_runs_in_it() -> None:
    """Linear algebra, too; what raised would be a failed run."""
    for problem in ("matrix-completion", "sparse-logistic"):
        runs = plan([Selection(problems=(problem,), seeds=(0,), budget=6)], dtype="bfloat16").runs
        ended = {r.run.optimizer: r for unit in pack(runs) for r in perform(unit)}
        assert len(ended) > 30
        failed = {name: r.error for name, r in ended.items() if r.status is Status.FAILED}
        assert not failed


def test_a_run_in_it_goes_alone() -> None:
    """There a lane's bits would depend on its place (float32 ones need not)."""
    select = Selection(optimizers=("sgd",), problems=("deep-tanh",), seeds=(0, 1, 2), budget=5)
    assert [len(unit.runs) for unit in pack(plan([select], dtype="bfloat16").runs)] == [1, 1, 1]
    assert [len(unit.runs) for unit in pack(plan([select]).runs)] == [3]


def test_running_statistics_are_scored_as_training_left_them() -> None:
    """A module's buffers are bfloat16 and belong to the run; its score is float32."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(50.0, 20.0, (64, 3)), rng.normal(size=(64, 1))
    problem = module_problem(
        "normalised", lambda: torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)),
        torch.nn.functional.mse_loss, (x, y), (x, y), budget=40, observe_every=40,
    )  # fmt: skip
    sgd = OPTIMIZERS["sgd"]
    ends = {
        dtype: advance(sgd, problem, [{"lr": 0.0}], [0], 40, dtype=dtype).gaps[:, 0]
        for dtype in (BF16, torch.float32)
    }
    # Nothing is learnt at lr = 0: only the statistics change the score, and by much.
    assert abs(ends[BF16][-1] / ends[BF16][0] - 1) > 0.1
    assert ends[BF16] == pytest.approx(ends[torch.float32], rel=0.02)
