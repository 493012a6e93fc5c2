"""The catalogue of optimizers: rows of data, and the implementations that live here."""

from optbench.optimizers.catalogue import catalogue
from optbench.optimizers.recipe import (
    Optimizer,
    Route,
    WrongHyperparameter,
    adopt,
    half_decades,
)
from optbench.registry import Registry

OPTIMIZERS: Registry[Optimizer] = Registry("optimizer", "optbench.optimizers", adopt)
for _row in catalogue():
    OPTIMIZERS.register(_row)

__all__ = ["OPTIMIZERS", "Optimizer", "Route", "WrongHyperparameter", "half_decades"]
