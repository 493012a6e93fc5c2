"""The sections of a report, in their order: each a function of the material, None where empty."""

from __future__ import annotations

from collections.abc import Callable

from optbench.reporting.material import Material
from optbench.reporting.section import Section
from optbench.reporting.sections.against import against
from optbench.reporting.sections.attained import attained
from optbench.reporting.sections.claims import claims
from optbench.reporting.sections.comparisons import comparisons
from optbench.reporting.sections.convergence import convergence
from optbench.reporting.sections.cost import cost
from optbench.reporting.sections.ending import failures, methods, problems
from optbench.reporting.sections.history import history
from optbench.reporting.sections.networks import networks
from optbench.reporting.sections.noise import noise
from optbench.reporting.sections.profiles import profiles
from optbench.reporting.sections.ranking import ranking
from optbench.reporting.sections.ranks import ranks
from optbench.reporting.sections.sensitivity import sensitivity
from optbench.reporting.sections.times import times
from optbench.reporting.sections.trajectories import trajectories
from optbench.reporting.sections.tuning import tuning
from optbench.reporting.sections.what_ran import what_ran

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
    history,
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
"""Sections for results of which no run can be scored."""
