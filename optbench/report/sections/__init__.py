"""The sections of a report, in their order: each a function of the material, None where empty."""

from __future__ import annotations

from collections.abc import Callable

from optbench.report.material import Material
from optbench.report.section import Section
from optbench.report.sections.against import against
from optbench.report.sections.attained import attained
from optbench.report.sections.claims import claims
from optbench.report.sections.comparisons import comparisons
from optbench.report.sections.convergence import convergence
from optbench.report.sections.cost import cost
from optbench.report.sections.ending import failures, methods, problems
from optbench.report.sections.networks import networks
from optbench.report.sections.noise import noise
from optbench.report.sections.past import past
from optbench.report.sections.profiles import profiles
from optbench.report.sections.ranking import ranking
from optbench.report.sections.ranks import ranks
from optbench.report.sections.sensitivity import sensitivity
from optbench.report.sections.times import times
from optbench.report.sections.trajectories import trajectories
from optbench.report.sections.tuning import tuning
from optbench.report.sections.what_ran import what_ran

SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    what_ran,
    ranking,
    attained,
    against,
    claims,
    convergence,
    sensitivity,
    times,
    ranks,
    profiles,
    tuning,
    trajectories,
    networks,
    noise,
    cost,
    past,
    comparisons,
    failures,
    problems,
    methods,
)

WITHOUT_A_LEAGUE: tuple[Callable[[Material], Section | None], ...] = (
    what_ran,
    ranking,
    failures,
    problems,
    methods,
)
"""Where no run can be scored: what there is, and why it cannot."""
