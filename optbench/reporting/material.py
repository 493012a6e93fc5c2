"""What the sections of a report draw on: scored frames of a store, and other inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from optbench.analysis import Comparable, League, Results
from optbench.reporting.standings import HIGHLIGHTED, Standing
from optbench.reporting.style import UNKNOWN_COLORS, Look
from optbench.tracking.history import History
from optbench.verdicts.comparison import Comparison


@dataclass(frozen=True)
class Costs:
    """Seconds a step by size, measured on one machine.

    Attributes
    ----------
    steps : DataFrame
        ``optimizer`` (with its variant), ``parameters``, ``seconds``.
    bound : DataFrame
        ``parameters``, ``seconds``: the least time that the traffic of an Adam step takes at the
        bandwidth of the memory. Empty where it was not measured.
    where : str
        Commit and machine.
    """

    steps: pd.DataFrame
    bound: pd.DataFrame
    where: str


@dataclass(frozen=True)
class ReportInputs:
    """What a report draws that is not in a store; each is optional.

    Attributes
    ----------
    landscapes : mapping of str to DataFrame
        By problem: ``x0``, ``x1``, ``value`` (the gap) on a regular grid, for contours.
    stationary : DataFrame or None
        Theory of the noise ball: ``problem``, ``optimizer``, ``lr``, ``gap`` (expected, absolute).
    answers : DataFrame or None
        Measured known answers: ``name``, ``setting``, ``expected``, ``measured``, ``holds``,
        ``statement``, ``cite``.
    costs : Costs or None
    history : History or None
    subjects : mapping
        Commit to the first line of its message.
    comparisons : sequence of Comparison
    command : str
        How to repeat the page, shown as it is.
    """

    landscapes: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    stationary: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    costs: Costs | None = None
    history: History | None = None
    subjects: Mapping[str, str] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    command: str = ""


@dataclass(frozen=True)
class Material:
    """What every section gets.

    Attributes
    ----------
    stored : Results
        All of the store.
    chosen : Comparable
        What of it can stand in one table, and what was left out.
    standings : sequence of Standing
        The leagues that have runs: default before tuned.
    empty : sequence of League
        Those that have none.
    baseline : str
    looks : mapping
        Of every optimizer.
    inputs : ReportInputs
    """

    stored: Results
    chosen: Comparable
    standings: Sequence[Standing]
    empty: Sequence[League]
    baseline: str
    looks: Mapping[str, Look]
    inputs: ReportInputs

    @property
    def results(self) -> Results:
        """What is compared."""
        return self.chosen.results

    @property
    def main(self) -> Standing:
        """The league that conclusions are drawn from: the tuned one, where there is one.

        At one fixed rate a mistake that makes longer steps looks like an improvement, and a
        default that suits these problems like a method.
        """
        return self.standings[-1]

    @property
    def leagues(self) -> dict[str, League]:
        """Both of them by name, also one without a run."""
        every = [*(one.league for one in self.standings), *self.empty]
        return {league.name: league for league in every}

    @property
    def colored(self) -> list[str]:
        """The baseline and the best few: in colour, the same in all figures."""
        return highlighted(self.main, self.baseline, self.looks)

    def problems_of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the problems that a frame has rows of, in the order of the catalogue."""
        known = self.results.problems
        return known[known["problem"].isin(frame["problem"])].reset_index(drop=True)


def highlighted(one: Standing, baseline: str, looks: Mapping[str, Look]) -> list[str]:
    """Return the baseline and the best few bases of a league, no two of one colour.

    Relatives share a colour, and lie close together: one of each says more.
    """
    chosen = [baseline] if baseline in one.order else []
    colors = {looks[name].color for name in chosen}
    for name in [*one.alike, *one.bases]:
        taken = looks[name].color in colors - {*UNKNOWN_COLORS}
        if len(chosen) < HIGHLIGHTED and name not in chosen and not taken:
            chosen.append(name)
            colors.add(looks[name].color)
    return chosen
