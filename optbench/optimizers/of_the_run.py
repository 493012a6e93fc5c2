"""Hyperparameters of a run that are the engine's: no optimizer's factory is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.optimizers.schedules import LR_SCHEDULE

DDP = "ddp"
"""Among how many processes each gradient is divided, 2 or more; without it one computes it all."""

OF_THE_RUN = (LR_SCHEDULE, DDP)


def told_to_the_factory(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that are the optimizer's own."""
    return {name: value for name, value in settings.items() if name not in OF_THE_RUN}
