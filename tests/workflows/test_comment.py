"""What comments runs nothing of the pull request's, and takes its word for nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import own
import pytest
from steps import Job

from optbench.scaffold.workflows import workflows

WORKFLOW = workflows(own.OWN)["pull-request-comment.yml"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"

GH = """#!/usr/bin/env python3
import json, os, pathlib, shutil, sys
given = sys.argv[1:]
folder = pathlib.Path(os.environ["FAKE_GH"])
said = {"arguments": given, "token": os.environ.get("GH_TOKEN"), "repo": os.environ.get("GH_REPO")}
if given[:2] == ["run", "download"]:
    shutil.copytree(folder / "artifact", given[given.index("--dir") + 1])
elif given[:2] == ["pr", "view"]:
    print((folder / "head").read_text())
elif given[:2] == ["pr", "comment"]:
    said["body"] = pathlib.Path(given[given.index("--body-file") + 1]).read_text("utf-8")
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(said) + "\\n")
"""


@pytest.fixture
def gh(tmp_path: Path) -> Path:
    """A folder with an artifact, and a ``gh`` that gives it out and notes what it was told."""
    folder = tmp_path / "gh"
    (folder / "artifact").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "gh").write_text(GH)
    (folder / "bin" / "gh").chmod(0o755)
    (folder / "head").write_text(COMMIT)
    (folder / "artifact" / "number").write_text("17\n")
    (folder / "artifact" / "comparison.md").write_text("**tinyopt:Adam** changed: ёж $(touch x)\n")
    return folder


def job(gh: Path, **known: str) -> Job:
    event = "github.event.workflow_run"
    facts = {
        f"{event}.event": "pull_request", f"{event}.conclusion": "failure", f"{event}.id": 99,
        f"{event}.head_sha": COMMIT, f"{event}.html_url": "https://example.org/99",
        "github.token": "secret", "github.repository": "o/r",
        **{name.replace("__", "."): value for name, value in known.items()},
    }  # fmt: skip
    path = f"{gh / 'bin'}:/usr/bin:/bin"
    python = Path(sys.executable).parent
    environment = {"PATH": f"{path}:{python}", "FAKE_GH": str(gh)}
    empty = gh / "empty"
    empty.mkdir()
    return Job(WORKFLOW, "comment", empty, gh / "temporary", facts, environment)


def calls(gh: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (gh / "calls").read_text().splitlines()]


def test_it_comments_what_compare_said(gh: Path) -> None:
    one = job(gh)
    assert one.run() == "success", one.steps
    *_, last = calls(gh)
    assert last["arguments"][:5] == ["pr", "comment", "17", "--edit-last", "--create-if-none"]
    assert (last["token"], last["repo"]) == ("secret", "o/r")
    assert last["body"].startswith(f"optbench compared {COMMIT} with the merge base ([log](https:")
    assert last["body"].endswith("changed: ёж $(touch x)\n")
    assert list((gh / "empty").iterdir()) == []


def test_without_a_comparison_it_says_so(gh: Path) -> None:
    (gh / "artifact" / "comparison.md").unlink()
    assert job(gh).run() == "success"
    assert "It came to no comparison" in calls(gh)[-1]["body"]


def test_a_long_comparison_is_cut_between_characters(gh: Path) -> None:
    (gh / "artifact" / "comparison.md").write_text("x" + "ё" * 200_000, "utf-8")
    assert job(gh).run() == "success"
    assert 40_000 < len(calls(gh)[-1]["body"].encode()) < 65_000
    assert calls(gh)[-1]["body"].endswith("ё")


@pytest.mark.parametrize(
    "number",
    [
        "",
        "0",
        "-1",
        "1 2",
        "17\n18\n",
        "17;id",
        "$(id)",
        "17/../18",
        "https://x/17",
        "9" * 40,
        "१७",
    ],
)
def test_what_is_no_number_stops_it(gh: Path, number: str) -> None:
    (gh / "artifact" / "number").write_text(number, "utf-8")
    one = job(gh)
    assert one.run() == "failure"
    assert one.outcomes()["Comment"] == "skipped"
    assert [call["arguments"][0] for call in calls(gh)] == ["run"]
    if len(number) > 3:
        assert number not in one.said("Find the pull request")


def test_another_pull_request_gets_no_comment(gh: Path) -> None:
    (gh / "head").write_text(COMMIT[::-1])
    one = job(gh)
    assert one.run() == "success"
    assert one.outcomes()["Comment"] == "skipped"
    assert all(call["arguments"][1] != "comment" for call in calls(gh))


@pytest.mark.parametrize(("fact", "value"), [("event", "push"), ("conclusion", "cancelled")])
def test_it_is_for_finished_pull_requests(gh: Path, fact: str, value: str) -> None:
    one = job(gh, **{f"github.event.workflow_run.{fact}": value})
    assert one.run() == "skipped"
    assert not (gh / "calls").exists()
