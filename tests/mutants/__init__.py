"""Bugs that optimizer libraries shipped: the proof that the contract can fail.

Each is a class that differs from a correct twin in one method or one class attribute. With
``tests/`` on the path a target such as ``mutants.adam:SharedStepCounter`` names one.
"""

from mutants.catalogue import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant"]
