"""A nightly run in Markdown, for a job's summary or a mail; the first line is the verdict."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from optbench.nightly.outcome import NightlyRun, Regression, StageState
from optbench.reporting import markdown
from optbench.reporting.history_text import commits_of

SHORT = 10

MOST = 40
"""Regressions that are listed; night.json has all."""

Escaped = Callable[[object], str]
"""Makes text of what comes from outside, that Markdown shows as it is; a terminal needs none."""


def summary(run: NightlyRun, *, escaped: Escaped = markdown.escaped) -> str:
    """Return the summary in Markdown."""
    parts = [f"**{verdict(run)}**", _about(run, escaped), _stages(run, escaped)]
    if run.regressions:
        parts.append(_regressions(run, escaped))
    if run.accepted:
        rows = [f"- {escaped(each.what)}: {escaped(each.why)}" for each in run.accepted]
        parts.append("Worse, and wanted:\n\n" + "\n".join(rows))
    parts += [f"Note: {escaped(note)}." for note in run.notes]
    return "\n\n".join(parts) + "\n"


def verdict(run: NightlyRun) -> str:
    """Return the verdict in a sentence."""
    failed = ", ".join(stage.name for stage in run.stages if stage.state is StageState.FAILED)
    if run.verdict == "regressed":
        count = len(run.regressions)
        also = f"; and {failed} failed" if failed else ""
        return f"Regressed: {count} thing{'s' * (count > 1)} got worse{also}"
    if run.verdict == "passed":
        since = f" since the last run that passed ({run.base[:SHORT]})" if run.base else ""
        wanted = " that was not accepted" if run.accepted else ""
        return f"Passed: nothing got worse{wanted}{since}"
    return f"Not measured: {failed or 'nothing was run'} failed"


def _about(run: NightlyRun, escaped: Escaped) -> str:
    subject = f" ({escaped(run.subject)})" if run.subject else ""
    minutes = run.seconds / 60
    took = f"{minutes:.0f} min" if minutes >= 2 else f"{run.seconds:.0f} s"
    return f"Commit {run.commit[:SHORT]}{subject}, begun {run.started.isoformat()}, {took}."


def _stages(run: NightlyRun, escaped: Escaped) -> str:
    rows = [
        f"| {stage.name} | {stage.state} | {escaped(stage.text)} | {stage.seconds:.0f} s |"
        for stage in run.stages
    ]
    return "\n".join(["| stage | state | what | time |", "|---|---|---|---:|", *rows])


def _regressions(run: NightlyRun, escaped: Escaped) -> str:
    shown = run.regressions[:MOST]
    rows = [f"| {' | '.join(map(escaped, _cells(each)))} |" for each in shown]
    head = "| optimizer | problem | what | size | commit | subject |"
    text = "\n".join([head, "|---|---|---|---|---|---|", *rows])
    if len(run.regressions) > MOST:
        text += f"\n\nand {len(run.regressions) - MOST} more, in night.json."
    # A command cannot be escaped without being another: it has a place of its own.
    again = dict.fromkeys(each.reproduce for each in shown)
    accept = dict.fromkeys(
        f"optbench accept {each.commit[:SHORT]} {shlex.quote(each.metric)} --why '...'"
        for each in shown
    )
    told = "The evidence is in compare.html and history.csv. To see it again:"
    if_wanted = "If it is wanted (`-o` and `-p` narrow it down), and then commit accepted.toml:"
    return "\n\n".join([text, told, _code(again), if_wanted, _code(accept)])


def _cells(each: Regression) -> tuple[str, ...]:
    commits = commits_of(each.first, each.commit)
    return each.optimizer, each.problem or "", each.text, each.size, commits, each.subject


def _code(lines: dict[str, None]) -> str:
    # A name may hold a line's end: what follows it would be no command any more.
    return "\n".join(f"    {' '.join(each.split())}" for each in lines)
