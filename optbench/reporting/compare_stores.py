"""Two stores side by side, as a page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from optbench.analysis import Comparable, Results, comparable
from optbench.analysis.compare_stores import identical, in_both, newer_by_older
from optbench.reporting import numerals, tables
from optbench.reporting.errors import NothingInBoth, NothingToReport
from optbench.reporting.figure_forest import forest
from optbench.reporting.files import Folder
from optbench.reporting.numerals import interval, percent, ratio
from optbench.reporting.page import Page, write_pages
from optbench.reporting.rows import rows
from optbench.reporting.section import Code, Heading, Part, Plot, Section, Text
from optbench.reporting.sections.ranking import TONES
from optbench.reporting.sections.what_ran import environments
from optbench.reporting.standings import Standing, leagues, looks_of
from optbench.reporting.tables import Cell, Column, Table, name, number

MOST = 60
"""Rows of single problems in the page; the data has all of them."""

NEWER_BY_OLDER = "the older"


def write_side_by_side(
    older: Results,
    newer: Results,
    out: Path,
    *,
    names: tuple[str, str],
    command: str = "",
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write a page that puts two stores side by side, and return its path.

    Every optimizer that is in both is compared with itself, paired by problem and seed, in each
    league. Files are those of `write_report`.

    Parameters
    ----------
    older, newer : Results
    out : Path
    names : tuple of str
        What to call the two.
    command : str
        How to repeat it.

    Raises
    ------
    NothingToReport
        Where one of them has no run.
    NothingInBoth
        Where no run is in both.
    """
    say = progress or (lambda _: None)
    if not len(older.runs) or not len(newer.runs):
        raise NothingToReport
    say("comparing runs")
    wholes = comparable(older), comparable(newer)
    common = in_both(wholes[0].results, wholes[1].results)
    both = set(common[0].runs["optimizer"])
    if not both:
        raise NothingInBoth(names)
    baseline = "adam" if "adam" in both else min(both)
    standings = [leagues(side, baseline)[0] for side in common]
    pairs = [
        (one, other) for one in standings[0] for other in standings[1] if one.name == other.name
    ]
    looks = looks_of(common[1].runs)
    sections = [_what(wholes, common, names, command)]
    lead = []
    for one, other in reversed(pairs):
        found = newer_by_older(one.league.runs, other.league.runs)
        lead.append(_verdict(found, other.name))
        sections.append(_league(one, other, found, names, looks))
    sections.append(_computed(common))
    problems = [str(each) for each in common[1].problems["problem"]]
    order = pairs[-1][1].bases if pairs else []
    chips = {each: looks[each] for each in order if each in both}
    title = f"Two stores side by side: {names[0]} and {names[1]}"
    page = Page(title, lead, sections, chips, problems)
    return write_pages(Folder(Path(out)), page, say)


def _what(
    wholes: tuple[Comparable, Comparable],
    common: tuple[Results, Results],
    names: tuple[str, str],
    command: str,
) -> Section:
    parts: list[Part] = [Text("Drawn by:"), Code(command)] if command else []
    parts.append(
        Text(
            f"{len(common[0].runs):,} runs are in both stores, of equal optimizer, settings, "
            "problem, version, data, budget, dtype and seed. All that follows is about these: of "
            f"the others, {len(wholes[0].results.runs) - len(common[0].runs):,} are in the older "
            f"store alone and {len(wholes[1].results.runs) - len(common[1].runs):,} in the newer."
        )
    )
    for which, side, label in zip(("older", "newer"), wholes, names, strict=True):
        runs, known = side.results.runs, side.results.environments
        used = known[known["environment"].isin(runs["environment"])]
        parts += [
            Heading(f"The {which}: {label}"),
            Text(
                f"{len(runs):,} runs of {runs['optimizer'].nunique()} optimizers on "
                f"{runs['problem'].nunique()} problems, {runs['seed'].nunique()} seeds."
            ),
            environments(used, f"environments-{which}"),
        ]
        if len(side.left_out):
            parts.append(tables.plain_table(side.left_out, "Runs left out.", f"left-out-{which}"))
    return Section("what", "What stands side by side", tuple(parts), "What")


def _verdict(found: pd.DataFrame, league: str) -> str:
    overall = found[(found["problem"] == "").to_numpy(dtype=bool)]
    words = Counter(overall["word"])
    counts = ", ".join(
        f"{words[word]} {word}" for word in ("faster", "slower", "equivalent", "inconclusive")
    )
    text = f"{league.capitalize()} league, newer by older: of {len(overall)} optimizers {counts}"
    slower = overall[(overall["word"] == "slower").to_numpy(dtype=bool)]
    if len(slower):
        worst = slower.sort_values("ratio").iloc[-1]
        text += (
            f"; the most slowed is {worst['optimizer']}, {ratio(worst['ratio'])} the evaluations "
            f"{interval(worst['low'], worst['high'])}"
        )
    return text + "."


def _league(
    one: Standing, other: Standing, found: pd.DataFrame, names: tuple[str, str], looks: object
) -> Section:
    overall = found[(found["problem"] == "").to_numpy(dtype=bool)]
    order = [each for each in other.order if each in set(overall["optimizer"])]
    overall = overall.set_index("optimizer").loc[order].reset_index()
    drawn = overall[overall["optimizer"].isin(other.bases)].reset_index(drop=True)
    parts: list[Part] = [
        Plot(
            f"newer-by-older-{one.name}",
            f"Newer by older, {one.name} league",
            "The median, over pairs of equal problem and seed, of an optimizer's gradient "
            "evaluations to the target in the newer store by those in the older: right of 1 it "
            "has become slower. The bar is an exact 95 % interval, the grey band 5 % on either "
            "side.",
            _verdict(found, one.name),
            f"Forest plot of ratios of steps to target for {len(drawn)} optimizers.",
            forest(drawn, looks, NEWER_BY_OLDER),  # type: ignore[arg-type]
            found,
        ),
        _table(one, other, overall, names),
    ]
    on_each = found[(found["problem"] != "").to_numpy(dtype=bool)]
    changed = on_each[on_each["word"].isin(["faster", "slower"])]
    if len(changed):
        size = changed["ratio"].map(lambda r: abs(math.log(r)) if 0 < r < math.inf else math.inf)
        changed = changed.assign(size=size).sort_values(
            ["size", "optimizer", "problem"], ascending=[False, True, True]
        )
        parts.append(_changes(changed.drop(columns="size"), one.name))
    else:
        parts.append(Text("On no single problem is one side certainly faster.", note=True))
    return Section(one.name, f"{one.name.capitalize()} league", tuple(parts))


def _table(one: Standing, other: Standing, overall: pd.DataFrame, names: tuple[str, str]) -> Table:
    older, newer = (each.areas.set_index("optimizer") for each in (one, other))
    frame = overall.set_index("optimizer").join(
        [
            older[["area", "low", "high"]].add_prefix("older_"),
            newer[["area", "low", "high"]].add_prefix("newer_"),
        ]
    )
    columns = [
        Column("optimizer", number=False),
        Column("older area", names[0]),
        Column("newer area", names[1]),
        Column("newer ÷ older", "median ratio of steps to target over pairs"),
        Column("95 %", number=False),
        Column("verdict", "what the interval allows to say", number=False),
        Column("faster in", "pairs of equal problem and seed"),
    ]
    lines = [
        [
            name(r.optimizer, optimizer=r.optimizer),
            number(r.older_area, f"{r.older_area:.3f}", interval(r.older_low, r.older_high, 3)),
            number(r.newer_area, f"{r.newer_area:.3f}", interval(r.newer_low, r.newer_high, 3)),
            number(r.ratio, ratio(r.ratio)),
            Cell(interval(r.low, r.high), None if r.low != r.low else r.low),
            Cell(r.word, r.word, mark=TONES.get(r.word, "")),
            number(r.won, f"{int(r.won)} of {int(r.pairs)}"),
        ]
        for r in rows(frame.reset_index())
    ]
    data = frame.reset_index()
    return Table("Side by side.", columns, lines, f"side-by-side-{one.name}", data)


def _changes(changed: pd.DataFrame, league: str) -> Table:
    columns = [
        Column("optimizer", number=False),
        Column("problem", number=False),
        Column("newer ÷ older"),
        Column("95 %", number=False),
        Column("verdict", number=False),
    ]
    lines = [
        [
            name(r.optimizer, optimizer=r.optimizer),
            name(r.problem, problem=r.problem),
            number(r.ratio, ratio(r.ratio) if math.isfinite(r.ratio) else "∞"),
            Cell(interval(r.low, r.high), r.low),
            Cell(r.word, r.word, mark=TONES.get(r.word, "")),
        ]
        for r in rows(changed.head(MOST))
    ]
    more = len(changed) - MOST
    caption = "Problems on which one side is certainly faster, the largest change first."
    caption += f" {more} more are in the data." if more > 0 else ""
    return Table(caption, columns, lines, f"changed-{league}", changed)


def _computed(sides: tuple[Results, Results]) -> Section:
    """Whether the same was computed at all."""
    counts = identical(sides[0].runs, sides[1].runs)
    columns = [Column("optimizer", number=False), Column("runs in both"), Column("identical")]
    lines = [
        [
            name(r.optimizer, optimizer=r.optimizer),
            number(r.runs, numerals.integer(r.runs)),
            number(r.identical / r.runs, percent(r.identical / r.runs)),
        ]
        for r in rows(counts)
    ]
    total, same = int(counts["runs"].sum()), int(counts["identical"].sum())
    return Section(
        "computed",
        "Whether they computed the same",
        (
            Text(
                f"{total:,} runs of equal optimizer, settings, problem and seed are in both; "
                f"{same:,} of them ended on the same figures to the last bit."
            ),
            Table("Runs that are in both.", columns, lines, "identical", counts),
        ),
        "Computed",
    )
