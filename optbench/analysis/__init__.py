"""Frames in, frames out: leagues, scores, convergence; neither torch nor SQL."""

from optbench.analysis.comparable import Comparable, comparable
from optbench.analysis.convergence import bands
from optbench.analysis.leagues import League, default_league, tuned_league
from optbench.analysis.results import MissingColumns, Results
from optbench.analysis.scores import scores
from optbench.analysis.sensitivity import sensitivity
from optbench.analysis.summary import summary
from optbench.analysis.trajectories import trajectories

__all__ = [
    "Comparable",
    "League",
    "MissingColumns",
    "Results",
    "bands",
    "comparable",
    "default_league",
    "scores",
    "sensitivity",
    "summary",
    "trajectories",
    "tuned_league",
]
