"""A night in Markdown: for a job's summary, a mail, a chat. The first line says the verdict."""

from __future__ import annotations

from optbench.nightly.night import Night
from optbench.nightly.stage import State
from optbench.report.markdown import escaped

SHORT = 10

MOST = 40
"""Regressions that are listed; night.json has all."""


def summary(night: Night) -> str:
    """The page; what comes from outside is text in it."""
    parts = [f"**{verdict(night)}**", _about(night), _stages(night)]
    if night.regressions:
        parts.append(_regressions(night))
    if night.accepted:
        rows = [f"- {escaped(what)}: {escaped(why)}" for what, why in night.accepted]
        parts.append("Worse, and wanted:\n\n" + "\n".join(rows))
    parts += [f"Note: {escaped(note)}." for note in night.notes]
    return "\n\n".join(parts) + "\n"


def verdict(night: Night) -> str:
    """The verdict in a sentence."""
    if night.verdict == "regressed":
        count = len(night.regressions)
        return f"Regressed: {count} thing{'s' * (count > 1)} got worse"
    if night.verdict == "good":
        since = f" since the last good night ({night.base[:SHORT]})" if night.base else ""
        return f"Good: nothing got worse{since}"
    failed = [stage.name for stage in night.stages if stage.state is State.FAILED]
    return f"Not measured: {', '.join(failed) or 'nothing was run'} failed"


def _about(night: Night) -> str:
    subject = f" ({escaped(night.subject)})" if night.subject else ""
    minutes = night.seconds / 60
    took = f"{minutes:.0f} min" if minutes >= 2 else f"{night.seconds:.0f} s"
    return f"Commit {night.commit[:SHORT]}{subject}, begun {night.started}, {took}."


def _stages(night: Night) -> str:
    rows = [
        f"| {stage.name} | {stage.state} | {escaped(stage.text)} | {stage.seconds:.0f} s |"
        for stage in night.stages
    ]
    return "\n".join(["| stage | state | what | time |", "|---|---|---|---:|", *rows])


def _regressions(night: Night) -> str:
    rows = []
    for each in night.regressions[:MOST]:
        commits = each.commit[:SHORT]
        if each.first != each.commit:
            commits = f"{each.first[:SHORT]}..{commits}"
        cells = (each.optimizer, each.problem or "", each.text, each.size, commits, each.subject)
        rows.append("| " + " | ".join(map(escaped, cells)) + " |")
        # A command cannot be escaped without being another: it has a place of its own.
    lines = [
        "| optimizer | problem | what | size | commit | subject |",
        "|---|---|---|---|---|---|",
    ]
    text = "\n".join([*lines, *rows])
    if len(night.regressions) > MOST:
        text += f"\n\nand {len(night.regressions) - MOST} more, in night.json."
    commands = list(dict.fromkeys(each.reproduce for each in night.regressions[:MOST]))
    return f"{text}\n\nTo see it again:\n\n" + "\n".join(f"    {each}" for each in commands)
