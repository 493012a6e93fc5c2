"""A branch's issue says what its last nightly run found, is closed with it, and calls nobody."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_summary_is_text import COMMIT, nightly_run

from optbench.nightly.issue import LONGEST_BODY, body, quoted, title

if TYPE_CHECKING:
    from conftest import Optbench, Outcome

GH = '''#!{python}
"""What the command needs of gh: issues in a file, each call in another."""
import json, sys
from pathlib import Path

here = Path({here!r})
path = here / "issues.json"
issues = json.loads(path.read_text())
noun, verb, *rest = sys.argv[1:]
plain = [each for each in rest if not each.startswith("--")]
given = dict(each[2:].partition("=")[::2] for each in rest if each.startswith("--"))
if (here / "refuses").exists():
    print("HTTP 401: Bad credentials", file=sys.stderr)
    sys.exit(int((here / "refuses").read_text()))
with (here / "calls").open("a") as calls:
    calls.write(noun + " " + verb + "\\n")
known = {{
    "label create": {{"force", "color", "description"}},
    "issue list": {{"label", "state", "limit", "json"}},
    "issue create": {{"title", "body-file", "label"}},
    "issue edit": {{"body-file"}},
    "issue comment": {{"body-file"}},
    "issue close": set(),
}}[noun + " " + verb]
assert set(given) == known, given
text = sys.stdin.read() if given.get("body-file") == "-" else ""
if noun == "label":
    (here / "label").write_text(plain[0])
elif verb == "list":
    found = [each for each in issues if given["label"] == each["label"] and each["open"]]
    print(json.dumps([{{name: each[name] for name in given["json"].split(",")}} for each in found]))
elif verb == "create":
    assert (here / "label").read_text() == given["label"]
    issues.append({{"number": len(issues) + 1, "title": given["title"], "open": True,
                   "body": text, "label": given["label"], "comments": []}})
    print("https://example.org/issues/" + str(len(issues)))
else:
    (issue,) = [each for each in issues if each["number"] == int(plain[0])]
    if verb == "edit":
        issue["body"] = text
    elif verb == "comment":
        issue["comments"].append(text)
    else:
        issue["open"] = False
path.write_text(json.dumps(issues))
'''


class Gh:
    """The made-up gh: its issues, and what it was called for."""

    def __init__(self, here: Path) -> None:
        self.here = here
        (here / "issues.json").write_text("[]")
        program = here / "bin" / "gh"
        program.parent.mkdir(parents=True)
        program.write_text(GH.format(python=sys.executable, here=str(here)))
        program.chmod(0o755)

    @property
    def issues(self) -> list[dict[str, Any]]:
        return list(json.loads((self.here / "issues.json").read_text()))

    @property
    def calls(self) -> list[str]:
        """Since they were last asked for."""
        path = self.here / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def gh(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Gh:
    here = tmp_path_factory.mktemp("host")
    monkeypatch.setenv("PATH", f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Gh(here)


Sync = Callable[..., "Outcome"]


@pytest.fixture
def sync(optbench: Optbench, workplace: Path) -> Sync:
    """``optbench sync-issues`` after a nightly run with this verdict."""

    def call(verdict: str = "regressed", *options: str, **changes: object) -> Outcome:
        if verdict != "regressed":
            changes["regressions"] = ()
        run = nightly_run("adam", **{"branch": "main", "verdict": verdict, **changes})
        (workplace / "night.json").write_text(run.model_dump_json())
        return optbench("sync-issues", "night.json", *options)

    return call


def test_an_issue_is_opened_edited_while_it_regresses_and_closed_with_a_comment(
    gh: Gh, sync: Sync
) -> None:
    name = "optbench nightly regressed on main"
    assert sync() == (0, f"opened https://example.org/issues/1: {name}\n", "")
    assert gh.calls == ["issue list", "label create", "issue create"]
    (issue,) = gh.issues
    assert (issue["title"], issue["label"]) == (name, "optbench-regression")
    assert issue["body"].startswith("**Regressed: 1 thing got worse**")
    assert "\n    optbench bisect a b -o adam\n" in issue["body"]
    assert sync(subject="Another commit") == (0, f"edited #1: {name}\n", "")
    assert gh.calls == ["issue list", "issue edit"]
    assert "Another commit" in gh.issues[0]["body"]
    assert sync("not measured").code == 0
    assert gh.calls == []
    assert sync("passed") == (0, f"closed #1: {name}\n", "")
    (issue,) = gh.issues
    assert issue["comments"] == [f"Commit {COMMIT} passed on 2026-01-01 03:00."]
    assert not issue["open"]
    assert sync("passed") == (0, "passed, and no issue is open\n", "")
    sync()
    assert [each["open"] for each in gh.issues] == [False, True]


def test_another_branch_and_another_label_have_an_issue_of_their_own(gh: Gh, sync: Sync) -> None:
    sync()
    sync("regressed", "--label", "slow")
    sync("regressed", branch="next")
    sync("passed", branch="next")
    assert [(each["label"], each["title"][-4:], each["open"]) for each in gh.issues] == [
        ("optbench-regression", "main", True),
        ("slow", "main", True),
        ("optbench-regression", "next", False),
    ]


def test_a_dry_run_shows_and_does_nothing_with_gh_and_without(
    gh: Gh, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync()
    before, _ = gh.issues, gh.calls
    assert sync("regressed", "--dry-run").out.startswith("would edit #1: ")
    code, out, err = sync("passed", "--dry-run")
    assert (code, err) == (0, "")
    assert out.startswith("would close #1: optbench nightly regressed on main\nCommit ")
    assert (gh.issues, gh.calls) == (before, ["issue list"] * 2)
    monkeypatch.setenv("PATH", "/nonexistent")
    code, out, err = sync("regressed", "--dry-run")
    assert code == 0
    assert out.startswith("would open an issue: optbench nightly regressed on main\n**Regressed")
    assert "as if there were no issue: gh, the command line of GitHub, is not installed" in err


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (1, "error: gh issue list: HTTP 401: Bad credentials\n"),
        (4, "error: gh issue list: gh is not logged in: set GH_TOKEN, or call gh auth login\n"),
        (None, "error: gh, the command line of GitHub, is not installed"),
    ],
)
def test_a_missing_or_refusing_gh_is_said(
    gh: Gh, sync: Sync, monkeypatch: pytest.MonkeyPatch, status: int | None, said: str
) -> None:
    (gh.here / "refuses").write_text(f"{status}")
    if status is None:
        monkeypatch.setenv("PATH", "/nonexistent")
    code, _, err = sync()
    assert (code, err.startswith(said)) == (2, True), err


def changed(**changes: object) -> str:
    return json.dumps({**nightly_run("adam").model_dump(mode="json"), **changes})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read night.json: No such file"),
        ("", "night.json is of no nightly run: the file: Invalid JSON"),
        ("[]", "night.json is of no nightly run: the file: "),
        (changed(schema=1), "schema: Input should be 2 (got 1)"),
        (changed(verdict="fine"), "verdict: Input should be 'passed', 'regressed' or 'not m"),
        (changed(commit="--web"), "commit: String should match pattern"),
    ],
)
def test_a_file_of_no_nightly_run_is_said(
    gh: Gh, optbench: Optbench, workplace: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (workplace / "night.json").write_text(content)
    code, _, err = optbench("sync-issues", "night.json")
    assert (code, said in err) == (2, True), err
    assert gh.calls == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[a](b)", r"\[a\]\(b\)"),
        ("two\n\n# lines", "two \\#\u200b lines"),
        ("@torvalds", "@\u200btorvalds"),
        ("fixes #12", "fixes \\#\u200b12"),
        ("see https://a.b, www.c.d, GH-7", "see https:\u200b//a.b, www\u200b.c.d, GH\u200b-7"),
        ("a\u202eb\x1b[0m", r"ab\[0m"),
        ("@\u200b@x", "@\u200b@\u200bx"),
    ],
)
def test_text_from_outside_is_neither_markup_nor_a_call(text: str, shown: str) -> None:
    assert quoted(text) == shown
    written = body(nightly_run(text))
    # Indented lines are code, in which GitHub looks for neither.
    lines = [line for line in written.splitlines() if not line.startswith("    ")]
    assert sum(line.count(shown) for line in lines) >= 6
    assert not any(text in line for line in lines)
    assert len(title(nightly_run(text)).splitlines()) == 1


def test_a_long_summary_is_cut_between_lines() -> None:
    row = nightly_run("|@" * 500).regressions[0]
    text = body(nightly_run("adam", regressions=[row] * 100))
    assert len(text) <= LONGEST_BODY + 100
    assert text.endswith("|\n\nThe rest is in summary.md.\n")
