"""The ranking: how much each optimizer attains, how surely, at what cost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from optbench.reporting import numerals
from optbench.reporting.material import Material
from optbench.reporting.numerals import interval
from optbench.reporting.rows import rows
from optbench.reporting.section import Fold, Heading, Part, Section, Text
from optbench.reporting.standings import Standing
from optbench.reporting.tables import Cell, Column, Table, name, number

BEST = 3
"""Optimizers of a family that are named."""


def ranking(material: Material) -> Section:
    """One table a league, and what suits which family."""
    parts: list[Part] = [
        Text(
            "Sorted by the area under the curve of attained targets, over the problems that "
            f"{material.baseline} ran on; counterexamples, which were made so that a method fails, "
            "are left to the claims. Where two intervals overlap, the order of the two means "
            "little; where an optimizer ran on fewer problems than another, their areas are not of "
            "the same thing. What depends on who else took part is marked with a star."
        )
    ]
    problems = [str(each) for each in material.results.problems["problem"]]
    for one in reversed(material.standings):
        parts += [Heading(f"{one.name.capitalize()} league"), Text(_about(one))]
        parts += [Text(sentence, note=True) for sentence in _left_out(one.league.left_out)]
        parts.append(ranking_table(one, material.baseline))
        if one.name == "tuned":
            parts.append(Fold("What was chosen for each pair", (_choices(one, problems),)))
    for league in material.empty:
        parts += [
            Heading(f"{league.name.capitalize()} league"),
            Text("There is none: no run can be scored in it."),
            *(Text(sentence, note=True) for sentence in _left_out(league.left_out)),
        ]
    if material.standings and len(set(material.main.families["family"])) > 1:
        parts += [Heading("Which for what"), _families(material.main, material.baseline)]
    return Section("ranking", "Ranking", tuple(parts))


def ranking_table(one: Standing, baseline: str) -> Table:
    """One row an optimizer, best first; variants, which run on fewer problems, below."""
    table = ranking_frame(one)
    is_variant = table["variant"] != ""
    table = pd.concat([table[~is_variant], table[is_variant]], ignore_index=True)
    columns = [
        Column("optimizer", number=False),
        Column("area", "under the curve of attained targets, 0 to 1: more is better"),
        Column("95 %", "its interval over seeds", number=False),
        Column("at the end", "share of all targets that is reached when the budget is spent"),
        Column(
            "solved",
            "problems on which at least half of the seeds reach the target, of those that "
            "it ran on",
        ),
        Column(
            f"steps ÷ {baseline}",
            "median ratio over pairs of equal problem and seed; 0: in the "
            f"median pair only it arrives, ∞: only {baseline} does",
        ),
        Column("95 %", "its interval over seeds", number=False),
        Column("verdict", "what the interval allows to say", number=False),
        Column("P(faster)", f"that a run beats one of {baseline}, mean over problems"),
        Column("wins*", "problems on which no optimizer takes fewer median steps"),
        Column("diverged, failed", "runs; failed are those that ended in an exception"),
        Column(f"s/step ÷ {baseline}", "geometric mean of the ratio of seconds a step"),
        Column("state B/param", "bytes of optimizer state a parameter"),
    ]
    if one.name == "tuned":
        columns.append(
            Column(
                "at edge",
                "share of the chosen rates that are the least or greatest "
                "tried: a better one may lie beyond",
            )
        )
    lines = []
    for row in rows(table):
        is_baseline = row.optimizer == baseline
        lines.append(
            [
                name(row.optimizer, "baseline" if is_baseline else "", optimizer=row.base),
                number(row.area, f"{row.area:.3f}", f"interquartile mean {row.iqm:.3f} "
                       f"{interval(row.iqm_low, row.iqm_high, 3)}"),
                Cell(interval(row.area_low, row.area_high, 3), row.area_low),
                number(row.end, numerals.percent(row.end)),
                number(row.solved, f"{row.solved} of {row.on}"),
                number(row.ratio, numerals.ratio(row.ratio), _pairs(row)),
                Cell(interval(row.low, row.high), None if row.low != row.low else row.low),
                Cell("" if is_baseline else row.word, row.word, mark=TONES.get(row.word, "")),
                number(row.probability, numerals.percent(row.probability),
                       interval(row.p_low, row.p_high)),
                number(row.wins, str(row.wins)),
                number(row.diverged + row.failed, f"{row.diverged}, {row.failed}",
                       mark="bad" if row.diverged or row.failed else ""),
                number(row.seconds_ratio, numerals.ratio(row.seconds_ratio),
                       f"on {row.seconds_problems} problems"),
                number(row.state_bytes, numerals.significant(row.state_bytes)),
                *([number(row.edge, numerals.percent(row.edge))] if one.name == "tuned" else ()),
            ]
        )  # fmt: skip
    caption = f"Ranking, {one.name} league."
    return Table(caption, columns, lines, f"ranking-{one.name}", table, wide=True)


TONES = {"faster": "good", "slower": "bad"}


def ranking_frame(one: Standing) -> pd.DataFrame:
    """Return the numbers of the table: areas, scores, the baseline's pairs and costs."""
    area = one.areas.rename(columns={"low": "area_low", "high": "area_high", "problems": "on"})
    counted = ["solved", "diverged", "failed", "seconds_ratio", "seconds_problems", "state_bytes"]
    known = one.summary.set_index("optimizer")[["base", "variant", *counted]]
    pairs = one.overall.set_index("optimizer")[
        ["ratio", "low", "high", "pairs", "both_missed", "won", "word"]
    ]
    better = one.improvement.set_index("optimizer")[["probability", "low", "high"]]
    better = better.rename(columns={"low": "p_low", "high": "p_high"})
    table = area.set_index("optimizer").join([known, pairs, better])
    edges = one.league.choices.groupby("optimizer")["at_edge"].mean()
    table = table.assign(wins=wins(one.ranked), end=one.ends, edge=edges).fillna(
        {"wins": 0, "word": ""}
    )
    counts = ["pairs", "both_missed", "won"]
    table[counts] = table[counts].fillna(0)
    return table.astype(dict.fromkeys([*counts, "wins"], "int64")).reset_index()


def wins(scores: pd.DataFrame) -> pd.Series[int]:
    """Problems on which an optimizer takes the fewest median steps, shared wins included.

    Hand over bases: a variant that computes what its base does would share all of its wins.
    """
    least = scores.groupby("problem")["median_steps"].transform("min")
    return (scores["median_steps"] == least).groupby(scores["optimizer"]).sum()


def _pairs(row: object) -> str:
    won, pairs, missed = row.won, row.pairs, row.both_missed  # type: ignore[attr-defined]
    return f"faster in {won} of {pairs} pairs; in {missed} more neither reaches the target"


def _families(one: Standing, baseline: str) -> Table:
    columns = [Column("family", number=False), Column("problems")]
    columns += [Column(f"{place}.", number=False) for place in ("1", "2", "3")]
    columns.append(Column(baseline, number=False))
    bases = one.by_family
    lines = []
    for family, part in bases.groupby("family"):
        shown = [f"{r.optimizer} {r.area:.2f} {interval(r.low, r.high)}" for r in rows(part)]
        own = [t for t, r in zip(shown, rows(part), strict=True) if r.optimizer == baseline]
        best = [*shown[:BEST], *[""] * (BEST - len(shown))]
        most = int(part["problems"].max())
        lines.append(
            [name(str(family)), number(most, str(most)), *map(name, best), *map(name, own or [""])]
        )
    caption = (
        f"Area by family of problems, {one.name} league, with intervals: the best three, and "
        f"{baseline}."
    )
    return Table(caption, columns, lines, "families", one.families, text=True)


def _choices(one: Standing, problems: Sequence[str]) -> Table:
    """Return the chosen learning rates, of both halves; all that was chosen is in the data."""
    columns = [Column("optimizer", number=False)]
    columns += [Column(problem, number=False, problem=problem) for problem in problems]
    cells: dict[tuple[str, str], Cell] = {}
    for (optimizer, problem), part in one.league.choices.groupby(["optimizer", "problem"]):
        rates = list(dict.fromkeys(numerals.significant(lr) for lr in part["lr"]))
        about = [f"{row.hyperparameters}" for row in rows(part) if row.hyperparameters != "{}"]
        mark = "bad" if part["at_edge"].any() else ""
        cells[str(optimizer), str(problem)] = Cell(
            " or ".join(rates), float(part["lr"].iloc[0]), "; ".join(dict.fromkeys(about)), mark
        )
    lines = [
        [name(each, optimizer=each), *(cells.get((each, p), Cell("")) for p in problems)]
        for each in one.order
    ]
    caption = (
        "Chosen learning rates; two where the halves of the seeds chose differently. Marked: the "
        "edge of the grid."
    )
    return Table(caption, columns, lines, "choices-tuned", one.league.choices, wide=True)


def _about(one: Standing) -> str:
    choices = one.league.choices
    if one.name != "tuned":
        return f"Own defaults, nothing chosen; seeds {one.seeds} are scored."
    low, high = int(choices["tried"].min()), int(choices["tried"].max())
    tried = str(low) if low == high else f"{low} to {high}"
    edges = int(choices["at_edge"].sum())
    return (
        f"For each optimizer and problem the best of {tried} settings, chosen on one half of the "
        f"seeds ({one.seeds}) and scored on the other, both ways. Of {len(choices):,} choices "
        f"{edges:,} lie at the edge of their grid of learning rates, where a better one may lie "
        "beyond."
    )


def _left_out(frame: pd.DataFrame) -> list[str]:
    """Return a sentence a reason, naming the pairs in short."""
    sentences = []
    for reason, group in frame.groupby("reason"):
        names = sorted({str(each) for each in group["optimizer"]})
        some = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        pairs = "optimizer-problem pair" if len(group) == 1 else "optimizer-problem pairs"
        sentences.append(f"{len(group):,} {pairs} left out: {reason} ({some}).")
    return sentences
