"""A check: a function and what its failure means."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Severity(enum.StrEnum):
    """What a failure of a check means."""

    DEFECT = "defect"
    ADVICE = "advice"
    EITHER = "defect or advice"
    """Either, by the exception that the check raises: `CheckFailed` or `Advice`."""


Function = Callable[[Any], str | None]
"""Takes a `Subject` or a `TriedScheduler`, and returns what was measured, in words; raises
`CheckFailed` or `NotApplicable`."""


@dataclass(frozen=True)
class Check:
    """One check of the contract.

    Attributes
    ----------
    function : callable
        Its name states what has to hold; the first line of its docstring says it in a sentence.
    slow : bool
        Whether it takes seconds (it starts processes, or it trains).
    severity : Severity
        What a failure means; an exception of the optimizer's is always a defect.
    """

    function: Function
    slow: bool = False
    severity: Severity = Severity.DEFECT

    @property
    def name(self) -> str:
        """The name, which ``--only`` takes."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """What has to hold, in a sentence."""
        return (inspect.getdoc(self.function) or "").splitlines()[0]
