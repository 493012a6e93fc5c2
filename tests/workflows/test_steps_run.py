"""The steps of the workflows that `optbench init` writes, in order, in a fresh clone.

Of a real run are missing: the actions of GitHub, and what pip would download, which is taken from
the environment of the tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from steps import Job

from optbench.scaffold.drafts import IGNORED, setting
from optbench.scaffold.pins import optbench_requirement
from optbench.scaffold.workflows import workflows

sys.path.insert(0, str(Path(__file__).parents[1] / "scaffold"))
from environments import runner
from libraries import PLANTED, Library

pytestmark = pytest.mark.proof


def test_a_pull_request_is_compared_and_its_number_kept(tmp_path: Path) -> None:
    origin = Library.make(tmp_path / "origin", "flat")
    origin.git("checkout", "--quiet", "-b", "topic")
    origin.change("adam", PLANTED)
    origin.commit("without the correction")
    origin.git("checkout", "--quiet", "main")
    origin.commit("meanwhile")
    clone = origin.clone(tmp_path / "clone")
    # What actions/checkout checks out of a pull request: it, merged into the branch.
    clone.git("merge", "--quiet", "--no-edit", "origin/topic")
    text = workflows(setting(optbench_requirement(None)))["optbench-pull-request.yml"]
    # Maths only, where the workflow asks for everything: what the other rungs say takes minutes.
    assert text.count("optbench compare") == 1
    text = text.replace("optbench compare", "optbench compare --rung maths --fail-on changed")
    facts = {
        "github.event.pull_request.number": 17, "github.base_ref": "main",
        "vars.PIP_EXTRA_INDEX_URL": "",
    }  # fmt: skip
    job = Job(text, "compare", clone.root, tmp_path / "temporary", facts, runner(tmp_path))
    assert job.run() == "failure", job.steps
    assert "found: changed (--fail-on changed)" in job.said("Compare with the merge base")
    assert {name for name, outcome in job.outcomes().items() if outcome != "success"} == {
        "Compare with the merge base"
    }
    kept = tmp_path / "temporary" / "comparison"
    assert (kept / "number").read_text() == "17\n"
    assert "tinyopt:Adam" in (kept / "comparison.md").read_text("utf-8")
    assert job.file("GITHUB_STEP_SUMMARY").read_text("utf-8") == (
        (kept / "comparison.md").read_text("utf-8")
    )
    # pip installed the library from the clone, and nothing else.
    (link,) = (tmp_path / "python").rglob("tinyopt*.dist-info")
    assert "Successfully installed tinyopt-1.0" in job.said("Install")
    assert list(link.parent.glob("optbench*")) == []


GH = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$1 $2" in "issue list") echo "[]" ;; esac
"""


def test_a_night_is_measured_kept_and_told(tmp_path: Path) -> None:
    origin = Library.make(tmp_path / "origin", "flat")
    (origin.root / ".gitignore").write_text("".join(f"{line}\n" for line in IGNORED))
    origin.commit("as optbench init leaves it")
    environment = runner(tmp_path) | {"CALLS": str(tmp_path / "calls")}
    gh = tmp_path / "python" / "bin" / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    text = workflows(setting(optbench_requirement(None)))["optbench-nightly.yml"]
    night = "run: optbench nightly --suite quick\n"
    assert text.count(night) == 1
    # A suite of seconds, and no asv, which tests/scaffold/test_another_library.py runs.
    text = text.replace(night, "run: optbench nightly --suite smoke --no-asv\n")
    facts = {
        "github.ref_name": "main", "github.event.repository.default_branch": "main",
        "github.token": "secret", "vars.PIP_EXTRA_INDEX_URL": "", "vars.OPTBENCH_PAGES": "true",
    }  # fmt: skip
    for number, did in enumerate(["of them new", "runs are in the store"]):
        clone = origin.clone(tmp_path / f"clone{number}")
        temporary = tmp_path / f"temporary{number}"
        job = Job(text, "nightly", clone.root, temporary, facts, environment)
        assert job.run() == "success", job.steps
        assert set(job.outcomes().values()) == {"success"}
        assert did in job.said("Nightly run")
        assert job.file("GITHUB_STEP_SUMMARY").read_text("utf-8") == (
            (clone.root / "reports/nightly/summary.md").read_text("utf-8")
        )
        content = json.loads((clone.root / "reports/nightly/night.json").read_text("utf-8"))
        assert (content["verdict"], content["commit"]) == (
            "passed",
            origin.git("rev-parse", "main"),
        )
        # Nothing that it left is in git's way.
        assert clone.git("status", "--porcelain", "--untracked-files=all") == ""
    assert origin.git("rev-list", "--count", "optbench-data") in ("1", "2")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "auth setup-git"
    assert [call.split(" --")[0] for call in calls] == ["auth setup-git", "issue list"] * 2
