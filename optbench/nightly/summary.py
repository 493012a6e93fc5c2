"""A night in Markdown: for a job's summary, a mail, a chat. The first line says the verdict."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from optbench.nightly.night import Night
from optbench.nightly.regression import Regression
from optbench.nightly.stage import State
from optbench.reporting import markdown
from optbench.reporting.history_text import commits_of

SHORT = 10

MOST = 40
"""Regressions that are listed; night.json has all."""

Escaped = Callable[[object], str]
"""Makes text of what comes from outside, that Markdown shows as it is; a terminal needs none."""


def summary(night: Night, *, escaped: Escaped = markdown.escaped) -> str:
    """The page."""
    parts = [f"**{verdict(night)}**", _about(night, escaped), _stages(night, escaped)]
    if night.regressions:
        parts.append(_regressions(night, escaped))
    if night.accepted:
        rows = [f"- {escaped(what)}: {escaped(why)}" for what, why in night.accepted]
        parts.append("Worse, and wanted:\n\n" + "\n".join(rows))
    parts += [f"Note: {escaped(note)}." for note in night.notes]
    return "\n\n".join(parts) + "\n"


def verdict(night: Night) -> str:
    """The verdict in a sentence."""
    failed = ", ".join(stage.name for stage in night.stages if stage.state is State.FAILED)
    if night.verdict == "regressed":
        count = len(night.regressions)
        also = f"; and {failed} failed" if failed else ""
        return f"Regressed: {count} thing{'s' * (count > 1)} got worse{also}"
    if night.verdict == "good":
        since = f" since the last good night ({night.base[:SHORT]})" if night.base else ""
        wanted = " that was not accepted" if night.accepted else ""
        return f"Good: nothing got worse{wanted}{since}"
    return f"Not measured: {failed or 'nothing was run'} failed"


def _about(night: Night, escaped: Escaped) -> str:
    subject = f" ({escaped(night.subject)})" if night.subject else ""
    minutes = night.seconds / 60
    took = f"{minutes:.0f} min" if minutes >= 2 else f"{night.seconds:.0f} s"
    return f"Commit {night.commit[:SHORT]}{subject}, begun {night.started}, {took}."


def _stages(night: Night, escaped: Escaped) -> str:
    rows = [
        f"| {stage.name} | {stage.state} | {escaped(stage.text)} | {stage.seconds:.0f} s |"
        for stage in night.stages
    ]
    return "\n".join(["| stage | state | what | time |", "|---|---|---|---:|", *rows])


def _regressions(night: Night, escaped: Escaped) -> str:
    shown = night.regressions[:MOST]
    rows = [f"| {' | '.join(map(escaped, _cells(each)))} |" for each in shown]
    head = "| optimizer | problem | what | size | commit | subject |"
    text = "\n".join([head, "|---|---|---|---|---|---|", *rows])
    if len(night.regressions) > MOST:
        text += f"\n\nand {len(night.regressions) - MOST} more, in night.json."
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
