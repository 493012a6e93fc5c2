"""Issues say what the night says: each is told once, kept up, closed, and calls nobody."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from optbench.nightly.announcement import Regression, body, markers, quoted, title

if TYPE_CHECKING:
    from conftest import Optbench

GH = '''#!{python}
"""What announcing needs of gh: issues in a file, each call in another."""
import json, sys
from pathlib import Path

here = Path({here!r})
path = here / "issues.json"
issues = json.loads(path.read_text())
noun, verb, *rest = sys.argv[1:]
plain = [each for each in rest if not each.startswith("--")]
given = dict(each[2:].partition("=")[::2] for each in rest if each.startswith("--"))
if (here / "refuses").exists():
    sys.exit("HTTP 401: Bad credentials")
with (here / "calls").open("a") as calls:
    calls.write(noun + " " + verb + "\\n")
known = {{
    "label create": {{"force", "color", "description"}},
    "issue list": {{"label", "state", "limit", "json"}},
    "issue create": {{"title", "body-file", "label"}},
    "issue edit": {{"title", "body-file"}},
    "issue close": {{"comment"}},
    "issue reopen": {{"comment"}},
}}[noun + " " + verb]
assert set(given) <= known, given
if noun == "label":
    (here / "label").write_text(plain[0])
elif verb == "list":
    assert given["state"] == "all"
    found = [each for each in issues if given["label"] in each["labels"]]
    names = given["json"].split(",")
    print(json.dumps([{{name: each[name] for name in names}}
                      for each in found[: int(given["limit"])]]))
elif verb == "create":
    assert (here / "label").read_text() == given["label"]
    issues.append({{"number": len(issues) + 1, "title": given["title"], "state": "OPEN",
                   "body": Path(given["body-file"]).read_text().strip(),
                   "labels": [given["label"]], "comments": []}})
    print("https://example.org/issues/" + str(len(issues)))
else:
    (issue,) = [each for each in issues if each["number"] == int(plain[0])]
    if verb == "edit":
        issue.update(title=given["title"], body=Path(given["body-file"]).read_text().strip())
    else:
        issue["state"] = {{"close": "CLOSED", "reopen": "OPEN"}}[verb]
        issue["comments"].append(given["comment"])
path.write_text(json.dumps(issues))
'''

A, B, C = ("a" * 40, "b" * 40, "c" * 40)

SLOWER: dict[str, Any] = {
    "key": "speed adam -- step",
    "metric": "time_step",
    "optimizer": "adam",
    "problem": None,
    "first": B,
    "commit": B,
    "subject": "Loop over tensors",
    "size": "1.5x",
    "text": "1.5 times the time a step",
    "reproduce": "optbench compare bbb~1 bbb -o tinyopt:Adam",
}
LONGER: dict[str, Any] = {
    **SLOWER,
    "key": "steps adam rosenbrock-2d",
    "metric": "steps_to_target",
    "problem": "rosenbrock-2d",
    "first": A,
    "commit": C,
    "subject": "Mend eps",
    "size": "2x",
    "reproduce": "optbench compare aaa~1 ccc -o tinyopt:Adam",
}


class Gh:
    """The made-up gh: its issues, and what it was called for."""

    def __init__(self, here: Path) -> None:
        self.here = here
        (here / "issues.json").write_text("[]")
        program = here / "bin" / "gh"
        program.parent.mkdir()
        program.write_text(GH.format(python=sys.executable, here=str(here)))
        program.chmod(0o755)

    @property
    def issues(self) -> list[dict[str, Any]]:
        return list(json.loads((self.here / "issues.json").read_text()))

    def keep(self, issues: list[dict[str, Any]]) -> None:
        (self.here / "issues.json").write_text(json.dumps(issues))

    @property
    def calls(self) -> list[str]:
        """Since they were last asked for."""
        path = self.here / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gh:
    (tmp_path / "host").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'host' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Gh(tmp_path / "host")


Announce = Callable[..., tuple[int, str, str]]


@pytest.fixture
def announce(optbench: Optbench, workplace: Path) -> Announce:
    """Announce a night with these regressions."""

    def call(
        *regressions: dict[str, Any], verdict: str = "", options: tuple[str, ...] = ()
    ) -> tuple[int, str, str]:
        night = {
            "schema": 1,
            "verdict": verdict or ("regressed" if regressions else "good"),
            "commit": C,
            "base": None,
            "started": "2024-05-06T03:00:00+00:00",
            "seconds": 1.0,
            "stages": [{"name": "runs", "state": "done", "text": "", "seconds": 1.0}],
            "regressions": regressions,
        }
        (workplace / "night.json").write_text(json.dumps(night))
        return optbench("announce", "night.json", *options)

    return call


def test_a_range_of_commits_is_an_issue_with_the_way_to_see_it_again(
    gh: Gh, announce: Announce
) -> None:
    code, out, err = announce(SLOWER, LONGER, {**LONGER, "key": "gap", "metric": "final_gap"})
    assert (code, err) == (0, "")
    one, other = gh.issues
    assert out == (
        f"opened https://example.org/issues/1: {one['title']}\n"
        f"opened https://example.org/issues/2: {other['title']}\n"
    )
    assert one["title"] == "adam: time_step regressed (bbbbbbbbbb)"
    assert other["title"] == "adam: 2 regressions (cccccccccc)"
    assert f"| adam | time\\_step | - | 1.5x | {B} | 1.5 times the time a step |" in one["body"]
    assert f"- {B}: Loop over tensors\n" in one["body"]
    assert "```sh\noptbench compare bbb~1 bbb -o tinyopt:Adam\n```" in one["body"]
    assert f"| rosenbrock-2d | 2x | {A} to {C} |" in other["body"]
    assert other["body"].count("optbench compare aaa~1 ccc") == 1
    assert {each["labels"][0] for each in gh.issues} == {"optbench-regression"}


def test_a_regression_that_stands_is_told_once(gh: Gh, announce: Announce) -> None:
    announce(SLOWER)
    told, _ = gh.issues, gh.calls
    code, out, err = announce(SLOWER)
    assert (code, out, err) == (0, "", "regressed: the issues say so already\n")
    assert gh.calls == ["issue list"]
    assert gh.issues == told
    # Nor is one that was edited in a browser, which ends lines otherwise.
    gh.keep([{**told[0], "body": told[0]["body"].replace("\n", "\r\n") + "\r\n"}])
    announce(SLOWER)
    assert gh.calls == ["issue list"]


def test_what_changed_is_edited_without_a_comment_also_where_the_range_shrank(
    gh: Gh, announce: Announce
) -> None:
    announce(LONGER, SLOWER)
    _ = gh.calls
    code, out, _ = announce({**LONGER, "first": C, "size": "3x"}, SLOWER)
    assert (code, out) == (
        0, "edited #1: adam: steps_to_target regressed on rosenbrock-2d (cccccccccc)\n"
    )  # fmt: skip
    assert gh.calls == ["issue list", "issue edit"]
    longer, slower = gh.issues
    assert f"| 3x | {C} |" in longer["body"]
    assert "1.5x" in slower["body"]
    assert [each["comments"] for each in gh.issues] == [[], []]


def test_another_of_the_same_range_joins_the_issue(gh: Gh, announce: Announce) -> None:
    announce(LONGER)
    announce(LONGER, {**LONGER, "key": "other", "optimizer": "lion"})
    (issue,) = gh.issues
    assert issue["title"] == "2 optimizers: 2 regressions (cccccccccc)"
    assert "| lion |" in issue["body"]


def test_what_is_gone_is_closed_and_what_comes_back_is_reopened(gh: Gh, announce: Announce) -> None:
    announce(SLOWER, LONGER)
    code, out, _ = announce(LONGER)
    assert (code, out) == (0, "closed #1: adam: time_step regressed (bbbbbbbbbb)\n")
    when = f"in the night of 2024-05-06 03:00 at {C}."
    assert [(each["state"], each["comments"]) for each in gh.issues] == [
        ("CLOSED", [f"Not seen any more {when}"]),
        ("OPEN", []),
    ]
    # Closed it stays without a word, until it is seen again.
    announce(LONGER)
    assert len(gh.issues[0]["comments"]) == 1
    code, out, _ = announce({**SLOWER, "size": "1.7x"}, LONGER)
    assert (code, out) == (0, "reopened #1: adam: time_step regressed (bbbbbbbbbb)\n")
    again, _ = gh.issues
    assert (again["state"], again["comments"][1]) == ("OPEN", f"Seen again {when}")
    assert "1.7x" in again["body"]
    announce()
    assert [each["state"] for each in gh.issues] == ["CLOSED", "CLOSED"]


def test_of_unknown_commits_an_old_issue_is_not_taken_for_a_new_one(
    gh: Gh, announce: Announce
) -> None:
    unknown = {**SLOWER, "first": None, "commit": None}
    announce(unknown)
    announce(unknown, {**unknown, "key": "joins"})
    assert len(gh.issues) == 1
    announce()
    announce({**unknown, "key": "new"})
    assert [each["state"] for each in gh.issues] == ["CLOSED", "OPEN"]


def test_a_night_that_could_not_measure_closes_nothing_and_tells_what_it_saw(
    gh: Gh, announce: Announce
) -> None:
    announce(SLOWER, {**SLOWER, "key": "second"})
    told = gh.issues
    announce(verdict="not measured")
    announce(SLOWER, verdict="not measured")
    assert gh.issues == told
    announce(LONGER, verdict="not measured")
    assert [each["state"] for each in gh.issues] == ["OPEN", "OPEN"]


def test_issues_of_somebody_else_are_left_alone(gh: Gh, announce: Announce) -> None:
    theirs = {"number": 1, "state": "OPEN", "title": "Mine", "body": "", "comments": []}
    issues = [{**theirs, "labels": ["optbench-regression"]}, {**theirs, "number": 2, "labels": []}]
    gh.keep(issues)
    announce()
    assert gh.issues == issues
    announce(SLOWER, options=("--label", "slow"))
    assert gh.issues[:2] == issues
    assert gh.issues[2]["labels"] == ["slow"]
    announce()  # of the other label
    assert gh.issues[2]["state"] == "OPEN"


def test_a_dry_run_shows_and_does_nothing_with_gh_and_without(
    gh: Gh, announce: Announce, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(SLOWER)
    told, _ = gh.issues, gh.calls
    code, out, err = announce(LONGER, options=("--dry-run",))
    assert (code, err) == (0, "")
    assert "would open a new issue: adam: steps_to_target regressed on rosenbrock-2d" in out
    assert "would close #1: adam: time_step" in out
    assert gh.issues == told
    assert gh.calls == ["issue list"]
    monkeypatch.setenv("PATH", "/nonexistent")
    code, out, err = announce(LONGER, options=("--dry-run",))
    assert code == 0
    assert "would open a new issue: " in out
    assert "as if there were no issues: gh, the command line of GitHub, is not installed" in err


def test_a_missing_or_refusing_gh_is_said(
    gh: Gh, announce: Announce, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gh.here / "refuses").touch()
    code, _, err = announce(SLOWER)
    assert (code, err) == (2, "error: gh issue list: HTTP 401: Bad credentials\n")
    monkeypatch.setenv("PATH", "/nonexistent")
    code, _, err = announce(SLOWER)
    assert code == 2
    assert err.startswith("error: gh, the command line of GitHub, is not installed")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read night.json: No such file"),
        ("", "night.json is no night's verdict: the file: Invalid JSON"),
        ("[]", "night.json is no night's verdict: the file: "),
        ('{"schema": 2}', "night.json is no night's verdict: schema: Input should be 1 (got 2)"),
        (
            json.dumps({"schema": 1, "verdict": "fine", "commit": C, "started": "2024-01-01",
                        "regressions": []}),
            "verdict: Input should be 'good', 'regressed' or 'not measured' (got 'fine')",
        ),
        (
            json.dumps({"schema": 1, "verdict": "regressed", "commit": C, "started": "2024-01-01",
                        "regressions": [{**SLOWER, "commit": "--web"}]}),
            "regressions.0.commit: String should match pattern",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_night_is_said(
    gh: Gh, optbench: Optbench, workplace: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (workplace / "night.json").write_text(content)
    code, _, err = optbench("announce", "night.json")
    assert (code, said in err) == (2, True), err
    assert gh.calls == []


def regression(**changes: Any) -> Regression:
    return Regression.model_validate({**SLOWER, **changes})


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
    for field in ("optimizer", "metric", "problem", "size", "text", "subject"):
        written = body([regression(**{field: text})])
        assert shown in written
        assert text not in written


def test_a_command_does_not_leave_its_block_and_a_text_makes_no_marker() -> None:
    marker = "<!-- optbench: key=stolen -->"
    row = regression(
        reproduce=f"x ```` y\n```\n{marker}",
        subject=f"\n{marker}\n",
        text=marker,
        key=f"\n{marker}",
    )
    written = body([row])
    lines = written.splitlines()
    assert "`````sh" in lines
    assert f"x ```` y ``` {marker}" in lines
    assert "key=stolen" not in markers(written)
    assert len(markers(written)) == 2
    alone = body([regression(reproduce=marker)])
    assert marker in alone.splitlines()
    assert markers(alone) == markers(body([regression()]))


def test_a_key_of_any_letters_is_found_again(gh: Gh, announce: Announce) -> None:
    for key in ("a--b", "-->", "a b\tc", "%2D", "ü@x", "---"):
        announce({**SLOWER, "key": key})
        announce({**SLOWER, "key": key, "first": None, "commit": None})
        assert len(gh.issues) == 1, key
        hidden = [line for line in gh.issues[0]["body"].splitlines() if line.startswith("<!--")]
        assert all("--" not in line[4:-3] for line in hidden)
        gh.keep([])


def test_a_hundred_regressions_fit_into_an_issue_and_it_is_found_again(
    gh: Gh, announce: Announce
) -> None:
    many = [{**SLOWER, "key": f"{i:03}" + "ü@" * 450, "text": "|@" * 500} for i in range(100)]
    announce(*many)
    (issue,) = gh.issues
    assert len(issue["body"].encode()) <= 60_000
    assert "And 9" in issue["body"]
    assert issue["title"] == "adam: 100 regressions (bbbbbbbbbb)"
    _ = gh.calls
    announce(*many)
    assert gh.calls == ["issue list"]


def test_a_title_is_one_short_line() -> None:
    long = title([regression(optimizer="x" * 500, problem="a\nb")])
    assert len(long) <= 256
    assert title([regression(optimizer="a\n\x1bb")]).startswith("a b: ")
    assert title([regression(commit=None)]) == "adam: time_step regressed"
