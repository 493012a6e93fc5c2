"""The night's verdict fails the job, and what must not be lost is kept all the same."""

from __future__ import annotations

from pathlib import Path

import own
import pytest
from steps import Job

from optbench.scaffold.workflows import Setting, workflows

WORKFLOW = workflows(Setting("test", "3.11", ("true",), prefix=""))["nightly.yml"]

COMMAND = """#!/bin/bash
echo "$(basename "$0") $*${GH_TOKEN:+ with a token}" >> "$CALLS"
[ "$OPTBENCH_MACHINE" = optbench-ci ] || exit 9
case "$*" in
    nightly) mkdir -p reports/nightly; echo '{}' > reports/nightly/night.json; exit "$NIGHT" ;;
    "data-branch pull") exit "$PULL" ;;
esac
"""

AUTH = "gh auth setup-git with a token"
PULL = "optbench data-branch pull with a token"
PUSH = "optbench data-branch push with a token"
SYNC = "optbench sync-issues reports/nightly/night.json with a token"


def job(folder: Path, branch: str = "main", **statuses: int) -> Job:
    commands, checkout = folder / "bin", folder / "checkout"
    commands.mkdir()
    checkout.mkdir()
    for name in ("optbench", "gh"):
        (commands / name).write_text(COMMAND)
        (commands / name).chmod(0o755)
    facts = {
        "github.ref_name": branch, "github.event.repository.default_branch": "main",
        "github.token": "secret", "vars.PIP_EXTRA_INDEX_URL": "", "vars.OPTBENCH_PAGES": "",
    }  # fmt: skip
    environment = {
        "PATH": f"{commands}:/usr/bin:/bin",
        "CALLS": str(folder / "calls"),
        **{name: str(status) for name, status in {"NIGHT": 0, "PULL": 0, **statuses}.items()},
    }
    return Job(WORKFLOW, "nightly", checkout, folder / "temporary", facts, environment)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(("status", "conclusion"), [(0, "success"), (1, "failure"), (2, "failure")])
def test_results_are_kept_and_told_whatever_the_verdict(
    tmp_path: Path, status: int, conclusion: str
) -> None:
    one = job(tmp_path, NIGHT=status)
    assert one.run() == conclusion
    assert calls(tmp_path) == [AUTH, PULL, "optbench nightly", PUSH, SYNC]
    assert one.outcomes()["Keep the report"] == "success"
    assert one.outcomes()["Keep the page"] == "skipped"


def test_what_could_not_be_pulled_is_not_pushed_over(tmp_path: Path) -> None:
    one = job(tmp_path, PULL=2)
    assert one.run() == "failure"
    assert calls(tmp_path) == [AUTH, PULL]


def test_another_branch_has_no_night(tmp_path: Path) -> None:
    assert job(tmp_path, branch="feature").run() == "skipped"


def test_this_repository_runs_its_own_target(tmp_path: Path) -> None:
    makefile = (Path(own.__file__).parents[2] / "Makefile").read_text("utf-8")
    kind, target = own.OWN.night.split()
    assert kind == "make"
    assert f"\n{target}:" in makefile
    stamp = own.OWN.install[0].removeprefix("make ").replace(".venv", "$(VENV)")
    assert f"\n{stamp}:" in makefile
