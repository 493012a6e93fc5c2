"""What ran, where, and how to repeat it; and how to read the rest."""

from __future__ import annotations

import pandas as pd

from optbench.reporting import tables
from optbench.reporting.history_text import SHORT
from optbench.reporting.material import Material
from optbench.reporting.numerals import integer
from optbench.reporting.section import Code, Fold, Heading, Part, Section, Terms, Text
from optbench.reporting.tables import Table

WORDS = (
    ("Gap", "The objective, without noise, minus its minimum (a lower bound where no minimum is "
            "known). It is divided by the run's own initial gap."),
    ("Target", "A relative gap, fixed with the problem and not drawn from these runs. Steps to "
               "target is the first gradient evaluation that reaches it."),
    ("Censored", "A run that never reaches the target has no steps to target. It counts as "
                 "infinite and is shown as —; no number stands in for it."),
    ("Attained share", "Of all targets of a problem, from easy to hard, and all seeds, the share "
                       "that is reached within a part of the budget; then the mean over problems. "
                       "Its area, over the logarithm of the budget, is the headline score: 0 is "
                       "never, 1 is at once."),
    ("Interval", "95 %, over seeds: what another draw of starts and data would give on the same "
                 "problems. It says nothing about other problems."),
    ("P(faster)", "The probability that a run of the optimizer takes fewer steps than one of the "
                  "baseline on the same problem, ties counting half; mean over problems."),
    ("0 and ∞ as ratios", "0: in the median pair only the optimizer arrives; ∞: only the baseline "
                          "does."),
    ("Median", "Over seeds, without interpolation: the step by which at least half of them have "
               "reached the target. A problem is solved where such a step exists."),
    ("Leagues", "Default: each optimizer with its own default hyperparameters. Tuned: the best of "
                "the settings tried for each problem. One half of the seeds chooses and the other "
                "is scored, and the other way round, so that every seed is scored by a choice "
                "that did not see it."),
    ("Equivalent, inconclusive", "Equivalent: the whole interval of a ratio lies within 5 % of 1. "
                                 "Faster or slower: the interval leaves out 1, and the median is "
                                 "more than 5 % away. Inconclusive: everything else."),
    ("Diverged, failed", "Diverged: the gap became non-finite or a million times the initial one. "
                         "Failed: the optimizer raised an exception. Both stay in every count."),
    ("Unmoved", "The parameters never changed although the gradient was not zero: a learning rate "
                "below the rounding of the parameters, or a fault of the optimizer."),
)  # fmt: skip


STATUSES = ("ok", "unmoved", "diverged", "failed")


def what_ran(material: Material) -> Section:
    """Make Counts, machines, the command, what was left out."""
    results = material.results
    runs = results.runs
    status = runs["status"].value_counts()
    told = {name: integer(status.get(name, 0)) for name in STATUSES}
    unmoved = f", {told['unmoved']} never moved" if status.get("unmoved", 0) else ""
    used = results.environments[results.environments["environment"].isin(runs["environment"])]
    left_out = material.chosen.left_out
    parts: list[Part] = [
        Text(
            f"{integer(len(runs))} runs of {_optimizers(runs)} on "
            f"{runs['problem'].nunique()} problems, {runs['seed'].nunique()} seeds, "
            f"{runs['dtype'].iloc[0]} on {runs['device'].iloc[0]}: {told['ok']} ended well, "
            f"{told['diverged']} diverged, {told['failed']} failed{unmoved}."
        ),
        *_command(material),
        environments(used, "environments"),
    ]
    if len(left_out):
        parts += [
            Heading("Left out"),
            Text(
                "Versions, data, dtypes, devices and budgets of a problem are never mixed. These "
                "runs are in the store and not in this page:"
            ),
            tables.plain_table(left_out, "Runs left out.", "left-out"),
        ]
    else:
        parts.append(Text("No version, budget or dtype in the store was left out.", note=True))
    scheduled = int((runs["lr_schedule"] != "").sum())
    if scheduled:
        parts.append(
            Text(
                f"{integer(scheduled)} of the runs have a schedule of their learning rate. They "
                "stand in no league and in no figure: few optimizers are run with one, and a "
                "league grants all the same search. Claims look at them.",
                note=True,
            )
        )
    parts.append(Fold("The words of this page", (Terms(WORDS),)))
    return Section("what", "What ran, where, and how to repeat it", tuple(parts), "What ran")


def _optimizers(runs: pd.DataFrame) -> str:
    """How many, variants apart."""
    is_base = (runs["variant"] == "").to_numpy(dtype=bool)
    bases, variants = (runs[some]["optimizer"].nunique() for some in (is_base, ~is_base))
    text = f"{bases} optimizers" if bases != 1 else "1 optimizer"
    return f"{text} and {variants} variants of them" if variants else text


def environments(used: pd.DataFrame, file: str) -> Table:
    """Make the machines and versions; a commit by the digits that tell it apart."""
    short = used.assign(commit=used["commit"].map(lambda hash_: str(hash_ or "")[:SHORT]))
    return tables.plain_table(short, "Environments.", file, used)


def _command(material: Material) -> list[Part]:
    if not material.inputs.command:
        return []
    return [Text("This page was drawn by:"), Code(material.inputs.command)]
