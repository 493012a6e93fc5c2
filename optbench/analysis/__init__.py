"""Frames in, frames out: leagues, scores, convergence; neither torch nor SQL."""

from optbench.analysis.against import against, probability_of_improvement
from optbench.analysis.attainment import areas, attainment, run_areas
from optbench.analysis.bands import bands
from optbench.analysis.common_ground import common_ground
from optbench.analysis.comparable import Comparable, comparable
from optbench.analysis.leagues import League, default_league, tuned_league
from optbench.analysis.profiles import algoperf_score, data_profile, performance_profile
from optbench.analysis.ranks import CriticalDifference, critical_difference, ranks
from optbench.analysis.resampling import seed_weights
from optbench.analysis.results import MissingColumns, Results
from optbench.analysis.running_time import expected_running_time
from optbench.analysis.scores import scores
from optbench.analysis.sensitivity import sensitivity
from optbench.analysis.stationary import stationary_gap
from optbench.analysis.summary import summary
from optbench.analysis.trajectories import trajectories
from optbench.analysis.tuning import best_of_defaults, best_of_k

__all__ = [
    "Comparable",
    "CriticalDifference",
    "League",
    "MissingColumns",
    "Results",
    "against",
    "algoperf_score",
    "areas",
    "attainment",
    "bands",
    "best_of_defaults",
    "best_of_k",
    "common_ground",
    "comparable",
    "critical_difference",
    "data_profile",
    "default_league",
    "expected_running_time",
    "performance_profile",
    "probability_of_improvement",
    "ranks",
    "run_areas",
    "scores",
    "seed_weights",
    "sensitivity",
    "stationary_gap",
    "summary",
    "trajectories",
    "tuned_league",
]
