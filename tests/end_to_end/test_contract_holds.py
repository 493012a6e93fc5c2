"""The contract over torch and over what is ours: kept, but for what is known."""

from __future__ import annotations

import pytest

from optbench.conformance.defects import known_defects
from optbench.conformance.result import CheckResult, Status
from optbench.conformance.worker_process import SubjectSpec
from optbench.conformance.workers import examine_all
from optbench.runner.executors import default_jobs
from optbench.scenarios.introspect import members

pytestmark = pytest.mark.proof

OURS = (
    *("lion", "signum", "muon", "adam-swarm", "adamw[fused]"),
    *("textbook-adam", "textbook-sparseadam"),
)
"""What is written here, and a variant; that of torch's is checked as torch's."""


ADVISED = (
    "half_precision_stays_near_float32",
    "a_differentiable_step_has_its_derivative",
    "a_compiled_step_equals_the_eager_one",
)
"""Checks whose advice torch and we leave: parameters of half precision need float32 copies, and
Adafactor reads a number out of a tensor at each step."""

TORCH = ("torch.optim:*", "torch.optim.lr_scheduler:*")


def examined(*targets: str) -> list[CheckResult]:
    # A limit that a busy machine does not reach.
    said = examine_all(map(SubjectSpec, targets), jobs=default_jobs(), limit_s=600.0)
    return [each for each in said if isinstance(each, CheckResult)]


def bad(results: list[CheckResult]) -> list[str]:
    fine = (Status.PASSED, Status.XFAILED, Status.NOT_APPLICABLE)
    results = [v for v in results if v.status is not Status.ADVICE or v.check not in ADVISED]
    return [f"{v.reproduce}: {v.status}: {v.text}" for v in results if v.status not in fine]


def test_every_class_of_torch_keeps_it_but_for_the_known_defects() -> None:
    results = examined(*TORCH)
    assert bad(results) == []
    assert {v.target for v in results} == {name for each in TORCH for name in members(each)}
    # Of one that is mended, the version goes into its row; a row of all classes is one of most.
    seen = {(v.target, v.check) for v in results if v.status is Status.XFAILED}
    rows = {
        (r.optimizer, r.check) for r in known_defects() if r.package == "torch" and r.is_present()
    }
    of_all = {check for optimizer, check in rows if optimizer.endswith(":*")}
    assert {row for row in seen if row[1] not in of_all} == {
        row for row in rows if row[1] not in of_all
    }
    assert {check for _, check in seen} >= of_all


def test_what_is_ours_keeps_it() -> None:
    results = examined(*OURS)
    assert bad(results) == []
    assert {v.target for v in results} == set(OURS)
    # An oracle is looked at, not merely passed over.
    kept = {(v.target, v.check) for v in results if v.status is Status.PASSED}
    assert {("lion", "follows_its_oracle"), ("adam-swarm", "follows_its_oracle")} <= kept
