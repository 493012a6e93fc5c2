"""The contract over torch and over what is ours: kept, but for what is known."""

from __future__ import annotations

import pytest
import torch

from optbench.conformance.acquaintance import members
from optbench.conformance.verdict import Status, Verdict
from optbench.conformance.worker_process import Question
from optbench.conformance.workers import examine_all
from optbench.engine.executors import default_jobs

pytestmark = pytest.mark.slow

OURS = (
    *("lion", "signum", "muon", "adam-swarm", "adamw[fused]"),
    *("textbook-adam", "textbook-sparseadam"),
)
"""What is written here, and a variant; that of torch's is checked as torch's."""

KNOWN = {
    ("Adafactor", "a_parameter_of_another_dtype_does_not_interfere"),
    ("Adagrad", "groups_keep_their_own_hyperparameters"),
    ("Adam", "differentiable_equals_the_loop"),
    ("AdamW", "differentiable_equals_the_loop"),
    ("NAdam", "differentiable_equals_the_loop"),
    ("ASGD", "follows_its_oracle"),
    ("ASGD", "foreach_equals_the_loop"),
    ("ASGD", "every_hyperparameter_matters"),
    ("ASGD", "a_changed_rate_takes_effect_on_the_next_step"),
    ("ASGD", "float64_parameters_have_float64_state"),
    ("LBFGS", "deepcopies_and_pickles"),
    ("LBFGS", "the_evaluation_limit_is_respected"),
    ("Muon", "wrong_values_are_refused"),
    ("NAdam", "follows_its_oracle"),
    ("NAdam", "float64_parameters_have_float64_state"),
    ("RMSprop", "a_constant_gradient_stays_finite"),
    ("Rprop", "a_changed_rate_takes_effect_on_the_next_step"),
    ("SGD", "gradients_are_neither_changed_nor_kept"),
}
"""In torch 2.13."""


def examined(*targets: str) -> list[Verdict]:
    said = examine_all(map(Question, targets), jobs=default_jobs())
    return [each for each in said if isinstance(each, Verdict)]


def bad(verdicts: list[Verdict]) -> list[str]:
    fine = (Status.KEPT, Status.KNOWN, Status.NOT_APPLICABLE)
    return [f"{v.reproduce}: {v.status}: {v.text}" for v in verdicts if v.status not in fine]


def test_every_class_of_torch_keeps_it_but_for_the_known_defects() -> None:
    verdicts = examined("torch.optim:*")
    assert bad(verdicts) == []
    assert {v.target for v in verdicts} == set(members("torch.optim:*"))
    if torch.__version__.startswith("2.13."):
        known = {
            (v.target.partition(":")[2], v.check) for v in verdicts if v.status is Status.KNOWN
        }
        assert known == KNOWN


def test_what_is_ours_keeps_it() -> None:
    verdicts = examined(*OURS)
    assert bad(verdicts) == []
    assert {v.target for v in verdicts} == set(OURS)
    # An oracle is looked at, not merely passed over.
    kept = {(v.target, v.check) for v in verdicts if v.status is Status.KEPT}
    assert {("lion", "follows_its_oracle"), ("adam-swarm", "follows_its_oracle")} <= kept
