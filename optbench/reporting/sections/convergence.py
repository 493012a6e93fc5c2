"""Convergence, one small axis a problem, a figure a family."""

from __future__ import annotations

from optbench.reporting.figure_convergence import convergence as draw
from optbench.reporting.files import slug
from optbench.reporting.material import Material
from optbench.reporting.section import Fold, Heading, Part, Plot, Section
from optbench.reporting.standings import Standing

READING = (
    "One axis a problem. The line is the median over seeds of the gap divided by the run's initial "
    "gap, the band its quartiles; further down and to the left is better, and both axes are "
    "logarithmic (floored at 1e-12). In colour: {colored}; every other optimizer is grey. The "
    "dotted line is the problem's headline target. A run that diverges counts as infinitely far "
    "away from then on, so a line that ends has lost half of its seeds."
)


def convergence(material: Material) -> Section | None:
    """Make the main league in sight, the other folded."""
    shown = [_figures(material, one) for one in reversed(material.standings)]
    if not shown or not shown[0]:
        return None
    parts: list[Part] = [Heading(f"{material.main.name.capitalize()} league"), *shown[0]]
    for one, figures in zip(list(reversed(material.standings))[1:], shown[1:], strict=True):
        if figures:
            parts.append(Fold(f"The same in the {one.name} league", tuple(figures)))
    return Section("convergence", "Convergence", tuple(parts))


def _figures(material: Material, one: Standing) -> list[Part]:
    reading = READING.format(colored=", ".join(material.colored))
    figures: list[Part] = []
    known = material.problems_of(one.bands)
    for family in dict.fromkeys(known["family"]):
        problems = known[known["family"] == family].reset_index(drop=True)
        names = set(problems["problem"])
        bands = one.bands[one.bands["problem"].isin(names)]
        scores = one.scores[one.scores["problem"].isin(names)]
        figures.append(
            Plot(
                f"convergence-{one.name}-{slug(str(family))}",
                f"Convergence on the {family} family, {one.name} league",
                reading,
                _shows(one, list(problems["problem"])),
                f"Median relative gap against gradient evaluations on {len(problems)} problems of "
                f"the {family} family, {one.name} league.",
                draw(bands, scores, problems, material.colored, material.looks),
                bands,
            )
        )
    return figures


def _shows(one: Standing, problems: list[str]) -> str:
    """Who is first at the target, problem by problem."""
    bases = one.scores[one.scores["optimizer"].isin(one.bases)]
    said = []
    for problem in problems:
        reached = bases[(bases["problem"] == problem) & bases["median_steps"].notna()]
        if reached.empty:
            said.append(f"on {problem} no optimizer reaches the target")
            continue
        first = reached.sort_values(["median_steps", "optimizer"]).iloc[0]
        tied = reached[reached["median_steps"] == first["median_steps"]]["optimizer"].tolist()
        names = " and ".join(tied) if len(tied) < 3 else f"{tied[0]} and {len(tied) - 1} more"
        said.append(
            f"on {problem} {names} (median {int(first['median_steps']):,} "
            f"evaluations, {len(reached)} of {(bases['problem'] == problem).sum()} get there)"
        )
    return f"First at the target: {'; '.join(said)}."
