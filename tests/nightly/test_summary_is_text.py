"""The summary: names of strangers are text in it, and a word in a line for a shell."""

from __future__ import annotations

import shlex

import pytest
from fuzzing import HOSTILE
from parsed_html import rendered

from optbench.nightly.outcome import AcceptedFinding, NightlyRun, Regression, Stage, StageState
from optbench.nightly.summary import summary

COMMIT = "a" * 40


def nightly_run(text: str, **changes: object) -> NightlyRun:
    """A run that regressed, with a text wherever there may be one."""
    names = ("key", "metric", "optimizer", "problem", "subject", "size", "text")
    row = Regression(
        **dict.fromkeys(names, text), first=COMMIT, commit=COMMIT,
        reproduce=f"optbench bisect a b -o {shlex.quote(text)}",
    )  # fmt: skip
    made = {
        "verdict": "regressed", "branch": text, "commit": COMMIT, "subject": text, "base": COMMIT,
        "started": "2026-01-01T03:00:00+00:00", "seconds": 1.0,
        "stages": [Stage(name="history", state=StageState.DONE, text=text, seconds=1.0)],
        "regressions": [row], "accepted": [AcceptedFinding(what=text, why=text)], "notes": [text],
    }  # fmt: skip
    return NightlyRun.model_validate({**made, **changes})


def page(text: str) -> str:
    return summary(nightly_run(text))


@pytest.mark.parametrize(
    "text", [*HOSTILE, "</code></pre><script>alert(1)</script>", "[x](y:z)", "\udcff"]
)
def test_no_name_makes_markup_or_a_command(text: str) -> None:
    made = page(text)
    made.encode()
    run = nightly_run(text)
    assert NightlyRun.model_validate_json(run.model_dump_json()) == run
    assert set(rendered(made).elements) <= set(rendered(page("words")).elements)
    (line,) = [line for line in made.splitlines() if line.startswith("    optbench accept ")]
    if text.isprintable() and " ".join(text.split()) == text:
        assert shlex.split(line) == ["optbench", "accept", COMMIT[:10], text, "--why", "..."]
