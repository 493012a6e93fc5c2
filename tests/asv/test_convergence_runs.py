"""What asv's benchmarks read: positive, finite numbers, also of what diverges, stays or raises."""

import math
import sys
from pathlib import Path

import pytest

from optbench.asv.convergence_runs import NotAtThisCommit, defined, train, version_of

STRANGE = ("strange:Diverges", "strange:Stays", "strange:Raises")
PROBLEMS = ("quadratic", "beale")


@pytest.fixture(scope="module")
def trained():
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        names = ("adam", "muon", *STRANGE, "strange:Gone", "nowhere:Adam", "strange:WantsMore")
        recorded = {**defined(PROBLEMS), "saddle": "1-000000000000"}
        yield train(names, recorded, budget=60, jobs=1)
    finally:
        sys.path.remove(str(Path(__file__).parent))


METRICS = ("steps_to_target", "failed_seeds", "final_gap")


@pytest.mark.proof
@pytest.mark.parametrize("optimizer", ["adam", *STRANGE])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_value_is_positive_and_finite_and_there_are_eight(trained, optimizer, problem):
    for metric in METRICS:
        drawn = trained.tracked(metric, optimizer, problem)["samples"]
        assert len(drawn) >= 8
        assert all(math.isfinite(value) and value > 0 for value in drawn)


def test_a_miss_counts_for_twice_the_budget_and_is_told_apart(trained):
    for name in STRANGE:
        assert set(trained.samples["steps_to_target", name, "quadratic"]) == {120.0}
        assert set(trained.samples["failed_seeds", name, "quadratic"]) == {2.0}


def test_what_diverges_or_raises_ends_on_the_worst_gap(trained):
    for name in ("strange:Diverges", "strange:Raises"):
        assert set(trained.samples["final_gap", name, "beale"]) == {1e6}
    assert set(trained.samples["final_gap", "strange:Stays", "beale"]) == {1.0}
    assert max(trained.samples["final_gap", "adam", "beale"]) < 1


def test_what_is_not_there_is_skipped_and_what_is_broken_fails(trained):
    for name in ("strange:Gone", "nowhere:Adam"):
        with pytest.raises(NotAtThisCommit):
            trained.require(name, "beale")
    with pytest.raises(NotAtThisCommit, match="matrix"):
        trained.require("muon", "beale")
    with pytest.raises(RuntimeError, match="secret"):
        trained.require("strange:WantsMore", "beale")
    trained.require("adam", "beale")


def test_asv_takes_an_absence_for_skipped():
    # asv_runner catches this class, and no other, in a setup.
    assert issubclass(NotAtThisCommit, NotImplementedError)


def test_a_problem_that_is_defined_otherwise_here_has_no_values(trained):
    with pytest.raises(NotAtThisCommit, match="is recorded"):
        trained.require("adam", "saddle")


def test_the_same_training_gives_the_same_bits(trained):
    again = train(("adam",), defined(PROBLEMS), budget=60, jobs=1)
    for key, drawn in again.samples.items():
        assert drawn == trained.samples[key]


def test_another_definition_or_protocol_is_another_version():
    recorded = defined(PROBLEMS)
    assert version_of(recorded, seeds=16) == version_of(dict(reversed(recorded.items())), seeds=16)
    assert version_of(recorded, seeds=16) != version_of(recorded, seeds=8)
    changed = {**recorded, "beale": "2-" + recorded["beale"].partition("-")[2]}
    assert version_of(recorded) != version_of(changed)
