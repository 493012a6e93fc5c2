"""The figures of a report, for notebooks: each takes `Results` and returns a matplotlib figure.

Runs that cannot stand in one figure are left out as in a report: those of another dtype, device,
data or budget than the baseline's. Where hyperparameters were tuned, figures show the tuned runs,
chosen on one half of the seeds and scored on the other; ``tuned=False`` shows the defaults.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optbench.api.report import baseline_of
from optbench.api.report_inputs import landscapes, stationary
from optbench.errors import OptbenchError
from optbench.reporting.figure_attainment import draw_attainment
from optbench.reporting.material import Material, ReportInputs
from optbench.reporting.page import gather
from optbench.reporting.render import plots
from optbench.reporting.section import Section
from optbench.reporting.sections.against import against as against_section
from optbench.reporting.sections.convergence import convergence as convergence_section
from optbench.reporting.sections.noise import noise as noise_section
from optbench.reporting.sections.profiles import profiles as profiles_section
from optbench.reporting.sections.ranks import ranks as ranks_section
from optbench.reporting.sections.sensitivity import sensitivity as sensitivity_section
from optbench.reporting.sections.times import times as times_section
from optbench.reporting.sections.trajectories import trajectories as trajectories_section
from optbench.reporting.sections.tuning import tuning as tuning_section

if TYPE_CHECKING:
    from optbench.analysis import Results


class NothingToDraw(OptbenchError, ValueError):
    """The results hold nothing that the figure shows; the text says what it would need."""


def attainment(
    results: Results,
    *,
    baseline: str | None = None,
    tuned: bool | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of targets reached by the share of the budget, a curve an optimizer.

    Targets are all relative gaps of all problems, each problem weighing the same (Hansen et al.,
    COCO: a platform for comparing continuous optimizers, 2021); bands are 95 % intervals over
    seeds.

    Parameters
    ----------
    results : Results
        Of `optbench.run` or `optbench.load`.
    baseline : str or None
        The optimizer that is always in colour; ``"adam"`` where it was run, else the first by
        name.
    tuned : bool or None
        Show tuned or default hyperparameters; None: tuned ones where there are some.
    ax : Axes or None
        Draw into these axes; names of optimizers stand at their right. A figure of its own
        without.

    Raises
    ------
    NothingToDraw
        Where no run can be scored.
    """
    material = _material(results, baseline)
    for one in reversed(material.standings):
        names = one.alike
        if names and tuned in (None, one.name == "tuned"):
            curves = one.curves[one.curves["optimizer"].isin(names)]
            colored = [name for name in material.colored if name in names]
            return _shown(draw_attainment(curves, colored, material.looks, ax))
    which = {None: "", True: " with tuned hyperparameters", False: " at the defaults"}[tuned]
    raise NothingToDraw(f"no run{which} can be scored: run(..., seeds=4) makes some")


def ratios(results: Results, *, baseline: str | None = None, tuned: bool | None = None) -> Figure:
    """Draw the ratio of steps to target of each optimizer to the baseline's, with its interval.

    Raises
    ------
    NothingToDraw
        Where the baseline has no pair of runs with another optimizer.
    """
    return _figure(results, baseline, against_section, _protocol("against", tuned))


def convergence(
    results: Results,
    family: str | None = None,
    *,
    baseline: str | None = None,
    tuned: bool | None = None,
) -> Figure:
    """Draw the median relative gap by gradient evaluations on the problems of a family.

    Parameters
    ----------
    family : str or None
        As in `optbench.list_problems`; the first that was run on without.
    """
    return _figure(
        results, baseline, convergence_section, _protocol("convergence", tuned), family or ""
    )


def sensitivity(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw the median steps to target by learning rate, on each problem."""
    return _figure(results, baseline, sensitivity_section)


def times(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw the median and quartiles of steps to target, an axis a problem."""
    return _figure(results, baseline, times_section)


def ranks(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw the rank of each optimizer on each problem."""
    return _figure(results, baseline, ranks_section, lambda name: name == "ranks")


def critical_difference(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw mean ranks, joined where Nemenyi's test cannot tell them apart (Demsar 2006)."""
    return _figure(results, baseline, ranks_section, lambda name: name == "critical-difference")


def profiles(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw performance and data profiles (Dolan and More 2002, More and Wild 2009)."""
    return _figure(results, baseline, profiles_section)


def tuning(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw the expected score of the best of k settings, chosen and scored on other seeds."""
    return _figure(results, baseline, tuning_section)


def trajectories(
    results: Results, problem: str | None = None, *, baseline: str | None = None
) -> Figure:
    """Draw the paths over the contours of a two-dimensional problem.

    Parameters
    ----------
    problem : str or None
        ``"rosenbrock-2d"`` or ``"beale"``; the first that was run on without.
    """
    inputs = ReportInputs(landscapes=landscapes(results))
    return _figure(results, baseline, trajectories_section, word=problem or "", inputs=inputs)


def noise(results: Results, *, baseline: str | None = None) -> Figure:
    """Draw the stationary gap on the noisy quadratic by learning rate, beside theory's."""
    inputs = ReportInputs(stationary=stationary(results))
    return _figure(results, baseline, noise_section, inputs=inputs)


def _material(
    results: Results, baseline: str | None, inputs: ReportInputs | None = None
) -> Material:
    return gather(results, baseline or baseline_of(results), inputs or ReportInputs())


def _figure(
    results: Results,
    baseline: str | None,
    section: Callable[[Material], Section | None],
    wanted: Callable[[str], bool] = lambda name: True,
    word: str = "",
    inputs: ReportInputs | None = None,
) -> Figure:
    """Return the first figure of a section whose name is wanted and holds a word."""
    material = _material(results, baseline, inputs)
    made = section(material) if material.standings else None
    names = []
    for plot in plots([made] if made is not None else []):
        if wanted(plot.name):
            if word in plot.name:
                return _shown(plot.figure)
            names.append(plot.name)
    what = section.__name__
    if names:
        raise NothingToDraw(f"{what} of {word!r}: there are {', '.join(names)}")
    raise NothingToDraw(f"these results hold nothing that the figure {what!r} shows")


def _protocol(section: str, tuned: bool | None) -> Callable[[str], bool]:
    """Return whether a figure's name says that its hyperparameters were, or were not, tuned."""
    name = {None: "", True: "tuned", False: "default"}[tuned]
    return lambda found: found.startswith(f"{section}-{name}")


def _shown(figure: Figure) -> Figure:
    """Have notebooks show figures that pyplot did not make."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    if running is not None:
        formatter = running.display_formatter.formatters["image/png"]
        if Figure not in formatter.type_printers:
            from IPython.core.pylabtools import select_figure_formats

            select_figure_formats(running, {"png"})  # type: ignore[no-untyped-call]
    return figure
