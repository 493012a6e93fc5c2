from __future__ import annotations

from typing import Any

import pytest
import torch
from odd_constructors import PerturbsByWhatIsThere

from optbench.engine import trial
from optbench.engine.plan import NothingToRun, Selection, plan
from optbench.engine.runs import Status
from optbench.engine.trial import Needs, probe_needs, tried_apart
from optbench.engine.work import Unit, perform
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS

SGD = {"base_optimizer": "torch.optim:SGD"}


@pytest.mark.parametrize(
    ("name", "settings", "needs"),
    [
        ("torch.optim:Adam", {}, Needs()),
        ("torch.optim:LBFGS", {}, Needs()),  # its signature says that it wants a closure
        ("torch.optim:Muon", {}, Needs(only_matrices=True)),
        ("torch.optim:SparseAdam", {}, Needs(sparse_gradients=True)),
        ("odd_constructors:OnlyMatrices", {}, Needs(only_matrices=True)),
        ("odd_constructors:AroundClass", SGD, Needs(closure=True)),
        ("odd_constructors:AroundInstance", SGD, Needs()),
        ("odd_constructors:CalledBetween", {}, Needs()),
        ("odd_constructors:PerturbsByWhatIsThere", {}, Needs(gradients_first=True)),
        ("odd_constructors:DifferentiatesGradients", {}, Needs(create_graph=True)),
        # It steps on vectors, be their gradients sparse or not.
        ("odd_constructors:Reshapes", {}, None),
    ],
)
def test_what_a_class_needs_is_found_by_trying(
    name: str, settings: dict[str, Any], needs: Needs | None
) -> None:
    row = OPTIMIZERS[name]
    assert probe_needs(row, row.settings(settings)) == needs


def test_a_method_for_matrices_is_left_out_of_problems_without() -> None:
    selection = Selection(
        optimizers=("odd_constructors:OnlyMatrices",),
        problems=("quadratic", "matrix-completion", "network-2-3-1"),
        seeds=(0,),
    )

    def try_out(name: str, settings: Any) -> Needs | None:
        row = OPTIMIZERS[name]
        return probe_needs(row, settings)

    planned = plan([selection], try_out=try_out)
    assert {run.problem for run in planned.runs} == {"matrix-completion"}
    assert set(planned.not_applicable.values()) == {"not every parameter of it is a matrix"}
    with pytest.raises(NothingToRun, match="not every parameter of it is a matrix"):
        plan([selection.model_copy(update={"problems": ("quadratic",)})], try_out=try_out)


@pytest.mark.proof
def test_it_is_tried_in_a_process_that_it_may_take_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tried_apart("odd_constructors:OnlyMatrices", {}) == Needs(only_matrices=True)
    assert tried_apart("odd_constructors:ExitsInItsStep", {}) is None
    monkeypatch.setattr(trial, "LIMIT_S", 0.5)
    assert tried_apart("odd_constructors:HangsInItsStep", {}) is None


def test_a_worker_finds_out_that_a_class_wants_a_closure() -> None:
    selection = Selection(
        optimizers=("odd_constructors:AroundClass",),
        problems=("quadratic",),
        settings={**SGD, "lr": 0.01},
        seeds=(0, 1),
        budget=50,
    )
    results = perform(Unit(plan([selection]).runs))
    assert [result.status for result in results] == [Status.OK, Status.OK]
    assert all(result.final_gap < result.initial_gap for result in results)


def test_who_wants_a_graph_is_left_out_with_the_reason() -> None:
    selection = Selection(
        optimizers=("odd_constructors:DifferentiatesGradients",), problems=("quadratic",)
    )
    with pytest.raises(NothingToRun, match=r"gradients of backward\(create_graph=True\)"):
        plan([selection], try_out=lambda name, s: probe_needs(OPTIMIZERS[name], s))


def test_gradients_that_the_loop_has_to_compute_first_are_there_and_count() -> None:
    """Against a loop of one's own: two evaluations a step, none on gradients of the last one."""
    selection = Selection(
        optimizers=("odd_constructors:PerturbsByWhatIsThere",),
        problems=("quadratic",), seeds=(0,), budget=40, settings={"lr": 0.01},
    )  # fmt: skip
    (result,) = perform(Unit(plan([selection], dtype="float64").runs))
    problem = PROBLEMS["quadratic"].bind(torch.float64, torch.device("cpu"))
    start = problem.start(problem.generators(0)[0])
    params = {n: torch.nn.Parameter(torch.as_tensor(v[None])) for n, v in start.items()}
    optimizer = PerturbsByWhatIsThere(list(params.values()), lr=0.01)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = problem.loss(params, None).sum()
        loss.backward()
        return loss

    for _ in range(20):
        closure()
        optimizer.step(closure)
    assert result.final_gap == pytest.approx(float(closure().detach()) - problem.minimum, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Reshapes", "the shape (200,)"),
        ("Widens", "the type torch.float64"),
        ("Freezes", "requires_grad=False"),
        ("Disables", "leaves gradients disabled"),
    ],
)
def test_a_step_after_which_no_loop_could_go_on_is_a_failure(name: str, words: str) -> None:
    selection = Selection(
        optimizers=(f"odd_constructors:{name}",), problems=("matrix-completion",), seeds=(0,),
        budget=10,
    )  # fmt: skip
    (result,) = perform(Unit(plan([selection]).runs[:1]))
    assert result.status is Status.FAILED
    assert words in (result.error or "")


def test_a_class_without_a_rate_runs_at_its_settings_and_is_not_tuned() -> None:
    selection = Selection(
        optimizers=("odd_constructors:NoRate",),
        problems=("quadratic",),
        rates="tuned",
        seeds=(0, 1),
        budget=50,
    )
    runs = plan([selection]).runs
    assert [run.settings for run in runs] == [{}, {}]
    assert {result.status for result in perform(Unit(runs))} == {Status.OK}
