"""A worker computes what the coordinator would have, or says why it would not."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest
from clusters import parcel

from optbench.engine import identity, remote_work
from optbench.engine.executors import Performed
from optbench.engine.isolation import Limits
from optbench.engine.remote_work import DONE, Job, Refused, answer, check, digest_of, job
from optbench.engine.runs import Status
from optbench.engine.wire import NotOurs, decode, encode
from optbench.problems import PROBLEMS

MINE = "import torch\n\nclass MyAdam(torch.optim.Adam):\n    constant = {}\n"


def a_job(**fields: object) -> Job:
    return job(parcel(**fields), Limits())


def test_the_coordinators_own_job_is_taken() -> None:
    check(a_job())


def test_other_sources_are_refused() -> None:
    with pytest.raises(Refused, match=f"sha256 {remote_work.source()}, .* 0123: install the same"):
        check(dataclasses.replace(a_job(), source="0123"))


def test_the_sources_are_names_and_contents_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    seen = [digest_of(tmp_path)]
    (tmp_path / "deep" / "one.py").write_text("x = 1")
    seen.append(digest_of(tmp_path))
    (tmp_path / "deep" / "one.py").write_text("x = 2")
    seen.append(digest_of(tmp_path))
    (tmp_path / "deep" / "one.py").rename(tmp_path / "one.py")
    seen.append(digest_of(tmp_path))
    assert len(set(seen)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in seen)
    assert digest_of(tmp_path) == seen[-1]


def test_an_optimizer_that_is_not_there_is_refused() -> None:
    made = a_job()
    (run,) = made.parcel.runs
    (unit,) = made.parcel.units
    there = dataclasses.replace(run, optimizer="nowhere_at_all:MyAdam")
    moved = dataclasses.replace(made.parcel, units=(dataclasses.replace(unit, runs=(there,)),))
    with pytest.raises(Refused, match=r"nowhere_at_all.*importable on every worker, as by PYTHON"):
        check(dataclasses.replace(made, parcel=moved))


def test_an_optimizer_of_other_code_is_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(workplace)
    module = workplace / "changing_module.py"
    module.write_text(MINE.format(1))
    made = a_job(optimizer="changing_module:MyAdam")
    check(made)
    module.write_text(MINE.format(2))
    # As a process that has imported the other one.
    del sys.modules["changing_module"]
    identity.code_of.cache_clear()
    with pytest.raises(Refused, match=f"its code of changing_module:MyAdam .*{made.keys[0]}"):
        check(made)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"problem_version": 7}, "version 1 of rosenbrock-2d, not 7"),
        ({"data": "mnist-70k"}, "are 'none', not 'mnist-70k': set OPTBENCH_DATA on the workers"),
    ],
)
def test_another_problem_of_that_name_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        check(a_job(**fields))


def test_damaged_data_are_a_refusal(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = a_job(
        problem="mnist-logistic",
        problem_version=PROBLEMS["mnist-logistic"].version,
        data="mnist-10k",
    )
    check(made)
    monkeypatch.setenv("OPTBENCH_DATA", str(workplace / "nothing"))
    with pytest.raises(Refused, match=r"cannot make mnist-logistic: DamagedData: .*nothing"):
        check(made)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="begun with a GPU to give, but device 'cuda:77' is not"):
        check(a_job(device="cuda:77"))


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(NotOurs):
        answer(b"something else")


def test_the_answer_is_what_came_of_the_parcel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_work, "_may_have_children", lambda: None)
    made = a_job()
    reply = answer(encode(made, Job))
    assert reply.startswith(DONE)
    performed = decode(reply.removeprefix(DONE), Performed)
    assert [(r.run, r.status) for r in performed.results] == [(made.parcel.runs[0], Status.OK)]
    assert performed.environment is not None
