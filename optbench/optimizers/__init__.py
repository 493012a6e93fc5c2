"""The catalogue of optimizers: rows of data, and the implementations that live here."""

from optbench.optimizers.catalogue import catalogue
from optbench.optimizers.recipe import (
    Optimizer,
    Route,
    WrongHyperparameter,
    adopt,
    half_decades,
)
from optbench.optimizers.schedules import SCHEDULES, Schedule
from optbench.registry import Registry

OPTIMIZERS: Registry[Optimizer] = Registry("optimizer", "optbench.optimizers", adopt)
for _row in catalogue():
    OPTIMIZERS.register(_row, everywhere=True)

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Optimizer",
    "Route",
    "Schedule",
    "WrongHyperparameter",
    "half_decades",
]
