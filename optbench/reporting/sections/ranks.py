"""Ranks by problem, and what they allow to say of the whole."""

from __future__ import annotations

from optbench.reporting.figure_ranks import critical_difference, heatmap
from optbench.reporting.material import Material
from optbench.reporting.numerals import significant
from optbench.reporting.section import Part, Plot, Section, Text


def ranks(material: Material) -> Section | None:
    """Make a heatmap; a critical-difference diagram where there are problems enough for one."""
    one = material.main
    scores = one.ranked
    table = one.ranks
    problems = material.problems_of(scores)["problem"].astype(str).tolist()
    if len(one.alike) < 2:
        return None
    parts: list[Part] = [
        Plot(
            "ranks",
            f"Ranks, {one.name} league",
            "Rows are optimizers, best area first, columns problems. The number is the rank by "
            "median steps to the target among those that ran on all of them (1 is fastest, ties "
            "share), the colour how many times the fewest steps it takes. A dash: it does not "
            "reach the target. Ranks depend on who took part.",
            _shows(scores),
            f"Heatmap of ranks of {len(one.alike)} optimizers on {len(problems)} problems.",
            heatmap(scores, table, problems, one.alike),
            scores,
        )
    ]
    found = one.critical_difference
    if found.enough:
        parts.append(
            Plot(
                "critical-difference",
                f"Critical difference, {one.name} league",
                "Mean rank over problems, better to the left. Optimizers joined by a bar cannot "
                "be told apart by Nemenyi's test after Friedman's (Demsar 2006), in which the "
                "sample is problems and not seeds: the one statement here about problems like "
                "these rather than about these problems.",
                f"{len(table.columns)} optimizers on {len(table)} problems; Friedman's p is "
                f"{significant(found.p, 2)}, the critical difference {found.difference:.2f} "
                "ranks.",
                "Mean ranks; bars join optimizers that do not differ significantly.",
                critical_difference(found, material.looks),
                found.mean_ranks.rename("mean_rank").rename_axis("optimizer").reset_index(),
            )
        )
    else:
        parts.append(
            Text(
                f"No critical-difference diagram: {len(table)} problems that all "
                f"{len(table.columns)} optimizers ran on are too few for one (it asks for 12 "
                "problems and 3 optimizers).",
                note=True,
            )
        )
    return Section("by-rank", "Ranks", tuple(parts))


def _shows(scores: object) -> str:
    solved = scores[scores["median_steps"].notna()]  # type: ignore[index]
    least = solved.groupby("problem")["median_steps"].transform("min")
    first = solved[solved["median_steps"] == least].groupby("problem")["optimizer"].agg(list)
    alone = [names[0] for names in first if len(names) == 1]
    counts = {name: alone.count(name) for name in sorted(set(alone))}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    said = ", ".join(f"{name} on {count}" for name, count in ordered[:5])
    return f"Alone in front: {said or 'nobody'}; no optimizer is first everywhere." if len(
        counts) > 1 else f"Alone in front: {said or 'nobody'}."  # fmt: skip
