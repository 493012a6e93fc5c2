"""A night's stages: each keeps what it did, none hides that it failed."""

import dataclasses
import sys
from pathlib import Path

import pytest
from repositories import Repository

from optbench.comparison.compare import NothingCompared, NotImportable
from optbench.engine.plan import Selection
from optbench.nightly import run_asv as tracking
from optbench.nightly import stages as module
from optbench.nightly.config import NightlyConfig
from optbench.nightly.nightly_run import AlreadyRunning, alone, run_nightly
from optbench.nightly.outcome import read_nightly_run
from optbench.nightly.summary import summary
from optbench.optimizers import OPTIMIZERS
from optbench.store import Store
from optbench.tracking.accepted import Accepted, add_accepted
from optbench.tracking.records import read_records
from optbench.verdicts.comparison import (
    Comparison,
    Maths,
    MathsVerdict,
    OptimizerComparison,
    SideOfComparison,
    SpeedVerdict,
)

SELECTION = Selection(
    optimizers=("adam", "sgd"), problems=("beale",), seeds=(0, 1, 2, 3), budget=20
)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    made = Repository.make(tmp_path / "a repository")
    (made.root / ".gitignore").write_text(".optbench/\n.asv/\nout/\n*.log\n")
    made.commit("what is ignored")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def wanted(repository):
    root = repository.root
    store = str(root / ".optbench" / "s.sqlite")
    return NightlyConfig(root, (SELECTION,), store, root / "out", asv=False)


def write_page(store, out, **inputs):
    (out / "index.html").write_text("a page")


def run(wanted, write=write_page, **more):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "write_report", write)
        return run_nightly(wanted, **more)


def stages(ended):
    return {stage.name: str(stage.state) for stage in ended.stages}


def pretend(monkeypatch, *rows, fails=None):
    """Comparisons that found this; what they were asked for."""
    asked = []

    def compare(wanted, **_):
        asked.append(wanted)
        if fails is not None:
            raise fails
        return Comparison(
            SideOfComparison("base", wanted.base.what),
            SideOfComparison("head", wanted.head.what),
            ("maths",),
            rows,
        )

    monkeypatch.setattr(module, "compare", compare)
    return asked


SLOWER = OptimizerComparison(
    "tinyopt:Adam", Maths(MathsVerdict.IDENTICAL), speed=SpeedVerdict.SLOWER
)


def test_a_first_run_passes_and_is_recorded(wanted):
    ended = run(wanted)
    assert ended.verdict == "passed"
    assert stages(ended) == {
        "runs": "done", "asv": "left out", "publish": "left out", "compare": "left out",
        "history": "done", "report": "done",
    }  # fmt: skip
    (record,) = read_records(Path(wanted.store).parent)
    assert (record.verdict, record.commit) == ("passed", ended.commit)
    assert set(record.codes) == {"adam", "sgd"}
    assert summary(ended).startswith("**Passed: nothing got worse")


def test_a_second_night_on_the_same_commit_has_nothing_to_do(wanted):
    run(wanted)
    with Store(wanted.store) as store:
        before = store.runs()
    ended = run(wanted)
    assert ended.verdict == "passed"
    assert {stages(ended)[name] for name in ("runs", "compare", "report")} == {"nothing new"}
    with Store(wanted.store) as store:
        assert store.runs().equals(before)


def test_a_new_commit_is_compared_with_the_last_that_passed(wanted, repository, monkeypatch):
    base = run(wanted).commit
    head = repository.commit("a change")
    asked = pretend(monkeypatch, SLOWER)
    ended = run(wanted)
    assert (asked[0].base.what, asked[0].head.what) == (base, head)
    assert ended.verdict == "regressed"
    (found,) = ended.regressions
    assert (found.metric, found.optimizer, found.first, found.commit) == (
        "speed", "tinyopt:Adam", head, head,
    )  # fmt: skip
    assert "optbench bisect" in found.reproduce
    assert summary(ended).startswith("**Regressed: 1 thing got worse")
    # The base stays the last good one.
    repository.commit("another")
    assert run(wanted).base == base


def test_a_comparison_is_kept_and_not_made_again(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("a change")
    asked = pretend(monkeypatch, SLOWER)
    first, second = run(wanted), run(wanted)
    assert len(asked) == 1
    assert stages(second)["compare"] == "nothing new"
    assert second.regressions == first.regressions


def test_a_kept_comparison_that_was_cut_short_is_made_again(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("a change")
    asked = pretend(monkeypatch, SLOWER)
    run(wanted)
    (kept,) = (repository.root / ".optbench" / "nights").glob("*.json")
    kept.write_text(kept.read_text()[:-20])
    run(wanted)
    assert len(asked) == 2


def test_what_is_accepted_fails_no_night_and_is_said(wanted, repository, monkeypatch):
    run(wanted)
    head = repository.commit("a change")
    pretend(monkeypatch, SLOWER)
    row = Accepted(commit=head, metric="speed", why="worth it", on="2026-11-23")
    add_accepted(repository.root, row)
    ended = run(wanted)
    assert "that was not accepted" in summary(ended)
    assert ended.verdict == "passed"
    assert "worth it" in summary(ended)


def test_findings_that_nobody_asked_for_fail_no_night(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("a change")
    changed = OptimizerComparison("tinyopt:Adam", Maths(MathsVerdict.CHANGED, "other"))
    pretend(monkeypatch, changed)
    assert run(wanted).verdict == "passed"


def test_a_head_that_does_not_import_has_not_passed(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("a change")
    pretend(monkeypatch, fails=NotImportable("the head cannot be imported: boom"))
    ended = run(wanted)
    assert ended.verdict == "not measured"
    assert "boom" in summary(ended)


def test_nothing_to_compare_is_said_and_no_failure(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("a change")
    pretend(monkeypatch, fails=NothingCompared("no optimizer stands on both sides"))
    assert run(wanted).verdict == "passed"


def test_a_night_that_measured_nothing_is_none(wanted, monkeypatch):
    refused = Selection(optimizers=("muon",), problems=("beale",))
    ended = run(dataclasses.replace(wanted, selections=(refused,)))
    assert ended.verdict == "not measured"
    assert stages(ended)["runs"] == "failed"
    assert summary(ended).startswith("**Not measured: runs")


def test_a_stage_that_fails_keeps_no_other_from_its_work(wanted):
    def broken(store, out, **inputs):
        raise OSError("the disk is full")

    ended = run(wanted, broken)
    assert ended.verdict == "not measured"
    assert stages(ended)["report"] == "failed"
    assert stages(ended)["history"] == "done"


def test_changes_that_are_not_committed_are_said_and_no_night_is_recorded(wanted, repository):
    (repository.root / "pyproject.toml").write_text("# changed\n")
    ended = run(wanted)
    assert "not committed" in summary(ended)
    assert read_records(Path(wanted.store).parent) == []


LIBRARY = """
import torch


class Good(torch.optim.SGD):
    pass


class Odd(torch.optim.SGD):
    def __init__(self, params, layers, lr=1e-2):
        super().__init__(params, lr=lr)


class Rows(torch.optim.SGD):
    pass
"""


@pytest.fixture
def library(repository, wanted, monkeypatch):
    """A night of a repository with optimizers of its own, one of them odd."""
    monkeypatch.syspath_prepend(str(repository.root))
    (repository.root / "nightly_library.py").write_text(LIBRARY)
    repository.commit("optimizers")
    yield dataclasses.replace(wanted, targets=("nightly_library:*",))
    sys.modules.pop("nightly_library", None)
    for name in [n for n in OPTIMIZERS._adopted if n.startswith("nightly_library")]:
        del OPTIMIZERS._adopted[name]


def test_the_repositorys_own_optimizers_are_run_and_an_odd_one_is_said(library):
    ended = run(library)
    assert ended.verdict == "passed"
    with Store(library.store) as store:
        ran = set(store.runs()["optimizer"])
    assert {"nightly_library:Good", "nightly_library:Rows"} <= ran
    assert "nightly_library:Odd" not in ran
    assert "layers" in summary(ended)


def test_a_package_that_does_not_import_is_not_measured_and_the_rest_is(library, repository):
    (repository.root / "nightly_library.py").write_text("raise RuntimeError('boom')\n")
    repository.commit("broken")
    ended = run(library)
    assert ended.verdict == "not measured"
    assert "boom" in summary(ended)
    with Store(library.store) as store:
        assert {"adam", "sgd"} <= set(store.runs()["optimizer"])


def test_what_came_after_the_accepted_commit_is_compared_from_there(
    wanted, repository, monkeypatch
):
    base = run(wanted).commit
    meant = repository.commit("slower, and meant")
    row = Accepted(commit=meant, metric="speed", why="worth it", on="2026-11-23")
    add_accepted(repository.root, row)
    repository.commit("slower again, by accident")
    asked = pretend(monkeypatch, SLOWER)
    ended = run(wanted)
    assert [each.base.what for each in asked] == [base, meant]
    assert asked[1].targets == ("tinyopt:Adam",)
    assert ended.verdict == "regressed"
    assert ended.regressions[0].first != meant


def test_again_compares_anew(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("a change")
    asked = pretend(monkeypatch, SLOWER)
    run(wanted)
    run(dataclasses.replace(wanted, again=True))
    assert len(asked) == 2


def test_a_night_that_has_nothing_to_do_is_recorded_once(wanted):
    run(wanted)
    run(wanted)
    assert len(read_records(Path(wanted.store).parent)) == 1


def test_what_an_earlier_night_said_is_gone_when_this_one_begins(wanted):
    wanted.out.mkdir(parents=True)
    (wanted.out / "night.json").write_text("of yesterday")
    run(wanted)
    assert not (wanted.out / "night.json").exists()  # whoever calls writes the new one


def test_two_nights_at_once_are_refused(wanted, repository):
    with alone(repository.root / ".optbench"), pytest.raises(AlreadyRunning, match="process"):
        run(wanted)
    assert run(wanted).verdict == "passed"


def test_what_is_written_is_read_back(wanted, repository, monkeypatch, tmp_path):
    run(wanted)
    repository.commit("a change <b>")
    pretend(monkeypatch, SLOWER)
    ended = run(wanted)
    file = tmp_path / "night.json"
    file.write_text(ended.model_dump_json())
    assert read_nightly_run(file) == ended
    assert ended.branch == repository.git("branch", "--show-current")


def test_subjects_and_names_are_text_in_the_summary(wanted, repository, monkeypatch):
    run(wanted)
    repository.commit("<script>|`x`|[a](b)")
    row = OptimizerComparison("tiny|opt:`Adam`", Maths(MathsVerdict.BROKEN, "<img>"))
    pretend(monkeypatch, row)
    text = summary(run(wanted))
    table = text.partition("To see it again")[0]
    assert "<script>" not in table
    assert "<img>" not in table
    assert "tiny\\|opt" in table


@pytest.fixture
def with_asv(repository, monkeypatch):
    """A pretended asv, told what to do; gives the wanted night's repository."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "pretended_asv"))
    (repository.root / "asv.conf.json").write_text("{}")
    (repository.root / "pretend").write_text("fine")
    (repository.root / "out").mkdir()
    repository.commit("benchmarks")
    return repository


def asv_night(repository, since=None, commits=5):
    head = repository.git("rev-parse", "HEAD")
    return tracking.run(
        repository.root, head, since, None, commits, repository.root / "out" / "asv.log"
    )


def test_the_head_is_run_and_what_failed_is_counted(with_asv):
    assert asv_night(with_asv) == "2 values of one commit, 1 failed"
    with pytest.raises(tracking.NothingNew):
        asv_night(with_asv)


def test_commits_since_the_last_night_are_run_as_many_as_asked_for(with_asv):
    since = with_asv.git("rev-parse", "HEAD")
    made = [with_asv.commit(f"number {n}") for n in range(7)]
    asv_night(with_asv, since=since, commits=3)
    ran = (with_asv.root / "out" / "asv-commits.txt").read_text().split()
    assert ran == [made[0], made[3], made[6]]


def test_an_asv_that_fails_or_hangs_is_a_failure_with_its_log(with_asv, monkeypatch):
    (with_asv.root / "pretend").write_text("fail")
    with pytest.raises(tracking.Failed, match=r"asv\.log"):
        asv_night(with_asv)
    (with_asv.root / "pretend").write_text("hang")
    monkeypatch.setattr(tracking, "PUBLISH_LIMIT_S", 2.0)
    (with_asv.root / ".asv" / "results").mkdir(parents=True)
    (with_asv.root / ".asv" / "results" / "benchmarks.json").write_text("{}")
    with pytest.raises(tracking.Failed, match="infinite"):
        tracking.publish(with_asv.root, with_asv.root / "out" / "asv.log")


def test_without_a_configuration_of_asv_it_is_left_out(repository):
    with pytest.raises(tracking.LeftOut, match=r"asv\.conf\.json"):
        asv_night(repository)
