"""The workflows are what the templates give; two linters and a few rules have nothing to say."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import own
import pytest
import yaml

from optbench.scaffold.drafts import setting
from optbench.scaffold.pins import optbench_requirement
from optbench.scaffold.workflows import workflows

ELSEWHERE = workflows(setting(optbench_requirement(None)))
OWN = workflows(own.OWN)
ALL = [*OWN.items(), *ELSEWHERE.items()]
BY_HAND = {f.name: f.read_text("utf-8") for f in own.FOLDER.glob("*.yml") if f.name not in OWN}


def linted(folder: Path, texts: Mapping[str, str]) -> tuple[int, str]:
    """The worse exit status of both linters, and what they said; neither asks the network."""
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    files = [str(folder / name) for name in texts]
    schema = ("--builtin-schema", "vendor.github-workflows")
    zizmor = str(Path(sysconfig.get_path("scripts")) / "zizmor")
    answers = [
        subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        for command in (
            [sys.executable, "-m", "check_jsonschema", *schema, *files],
            [zizmor, "--offline", "--pedantic", "--no-progress", *files],
        )
    ]
    return max(each.returncode for each in answers), "".join(e.stdout + e.stderr for e in answers)


def test_this_repository_has_what_the_templates_give() -> None:
    there = {file.name: file.read_text("utf-8") for file in own.FOLDER.glob("*.yml")}
    assert {name: there.get(name) for name in OWN} == OWN, "python tests/workflows/own.py"


@pytest.mark.parametrize("texts", [OWN, BY_HAND, ELSEWHERE], ids=["own", "by hand", "elsewhere"])
def test_the_linters_have_nothing_to_say(tmp_path: Path, texts: Mapping[str, str]) -> None:
    code, said = linted(tmp_path, texts)
    assert code == 0, said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
        ('git merge-base "$BASE"', "git merge-base ${{ github.head_ref }}", "template-injection"),
        ("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4", "unpinned-uses"),
        ("          persist-credentials: false\n", "", "artipacked"),
        ("runs-on: ubuntu-latest", "run-on: ubuntu-latest", "run-on"),
    ],
)
def test_the_linters_would_say_it(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = OWN["pull-request.yml"]
    assert text.count(old) == 1, old
    code, said = linted(tmp_path, {"pull-request.yml": text.replace(old, new)})
    assert code != 0
    assert words in said


def steps(text: str) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(text)["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize(("name", "text"), ALL, ids=[name for name, _ in ALL])
def test_rules_that_the_linters_do_not_know(name: str, text: str) -> None:
    content = yaml.safe_load(text)
    assert content["permissions"] == {}
    assert content["defaults"] == {"run": {"shell": "bash"}}, "else a pipe loses exit statuses"
    for job in content["jobs"].values():
        assert job["timeout-minutes"] <= 180
    for step in steps(text):
        assert "continue-on-error" not in step
        assert "${{" not in step.get("run", "")
        if uses := step.get("uses"):
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", uses)
        if uses and "checkout" in uses:
            assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}
    if name.endswith("comment.yml"):
        assert "checkout" not in text.replace("no checkout", "")
        assert "pull_request_target" not in text
    else:
        # The token may do something only where it is asked to.
        may = [step["name"] for step in steps(text) if "GH_TOKEN" in step.get("env", {})]
        assert set(may) <= {
            "Let git use the token",
            "Pull results",
            "Push results",
            "Sync the issue",
        }


def test_the_comment_waits_for_the_workflow_of_that_name() -> None:
    for texts in (OWN, ELSEWHERE):
        by_kind = {name.removeprefix("optbench-"): yaml.safe_load(t) for name, t in texts.items()}
        # YAML 1.1 reads ``on`` as a truth value.
        trigger = by_kind["pull-request-comment.yml"][True]["workflow_run"]
        assert trigger["workflows"] == [by_kind["pull-request.yml"]["name"]]


def test_the_machine_has_the_python_of_the_environments() -> None:
    configuration = Path(own.__file__).parents[2] / "asv.conf.json"
    if configuration.exists():
        assert f'"{own.OWN.python}"' in configuration.read_text("utf-8")
