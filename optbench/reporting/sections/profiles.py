"""Profiles: how often an optimizer is close to the best, and how much of a family it solves."""

from __future__ import annotations

from optbench import analysis
from optbench.reporting.figure_profiles import profiles as draw
from optbench.reporting.material import Material
from optbench.reporting.rows import rows
from optbench.reporting.section import Part, Plot, Section
from optbench.reporting.tables import Column, Table, name, number

ACCURACY = 0.1
"""Relative gap at which the data profile asks whether a problem is solved."""


def profiles(material: Material) -> Section | None:
    """Make performance and data profiles, and AlgoPerf's score of the former."""
    one = material.main
    if len(one.alike) < 2:
        return None
    scores = one.ranked
    runs = one.ground[one.ground["optimizer"].isin(one.alike)]
    performance = analysis.performance_profile(scores)
    results = material.results
    data = analysis.data_profile(runs, results.targets, results.problems, ACCURACY)
    score = analysis.algoperf_score(scores).sort_values(
        ["score", "optimizer"], ascending=[False, True]
    )
    columns = [
        Column("optimizer", number=False),
        Column("AlgoPerf score", "mean over problems of clip(4 - r, 0) / 3, r the steps by the "
               "fewest: 1 is fastest everywhere, 0 nowhere within four times"),
    ]  # fmt: skip
    lines = [
        [name(r.optimizer, optimizer=r.optimizer), number(r.score, f"{r.score:.3f}")]
        for r in rows(score)
    ]
    first = score.iloc[0]
    parts: list[Part] = [
        Plot(
            "profiles",
            f"Profiles, {one.name} league",
            "Left, the performance profile (Dolan and More 2002): the share of problems on which "
            "an optimizer takes at most tau times the fewest median steps of all; at tau = 1 the "
            "share that it wins. It depends on who took part. Right, the data profile (More and "
            f"Wild 2009): the share of problems on which a relative gap of {ACCURACY:g} is reached "
            "within a share of the budget, with the problem's own minimum in place of the best "
            "value found, so that it does not.",
            f"{first['optimizer']} has the highest AlgoPerf score, {first['score']:.2f}: it is "
            "most often within a small factor of the fastest.",
            f"Performance and data profiles of {len(one.alike)} optimizers.",
            draw(performance, data, material.colored, material.looks),
            performance,
        ),
        Table("AlgoPerf scores; they depend on who took part.", columns, lines, "algoperf", score),
    ]
    if not len(data):
        parts = parts[1:]
    return Section("profile", "Profiles", tuple(parts))
