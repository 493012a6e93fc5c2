"""The catalogue of problems: one family a file, each problem a row."""

from optbench.problems.convex import convex
from optbench.problems.counterexample import counterexamples
from optbench.problems.factorization import factorizations
from optbench.problems.landscape import landscapes
from optbench.problems.mnist import DamagedData
from optbench.problems.module import module_problem
from optbench.problems.network import networks
from optbench.problems.noisy import noisy
from optbench.problems.problem import Problem, adopt
from optbench.registry import Registry

CATALOGUE = (
    *convex(),
    *landscapes(),
    *noisy(),
    *counterexamples(),
    *networks(),
    *factorizations(),
)
"""The problems that ship with the package, by family."""

PROBLEMS: Registry[Problem] = Registry("problem", "optbench.problems", adopt)
for _problem in CATALOGUE:
    PROBLEMS.register(_problem, everywhere=True)

__all__ = ["CATALOGUE", "PROBLEMS", "DamagedData", "Problem", "module_problem"]
