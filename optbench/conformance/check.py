"""What a check is, and the ways in which it can end other than well."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optbench.errors import OptbenchError
from optbench.plain_text import printable

if TYPE_CHECKING:
    from optbench.conformance.subject import Subject


class CheckFailed(OptbenchError, AssertionError):
    """An optimizer failed a check.

    Parameters
    ----------
    text : str
        What failed, with numbers, and under which settings.
    measured : float, optional
        The size of the departure, where the check has a bound. A known defect names the largest
        that it explains, so that it cannot hide a larger one.
    """

    def __init__(self, text: str, measured: float | None = None) -> None:
        super().__init__(printable(text))
        self.measured = measured


class Advice(CheckFailed):
    """A failure that respected libraries accept on purpose, and document.

    It is reported, and fails an optimizer only with ``--strict``.
    """


class Severity(enum.StrEnum):
    """What a failure of a check means."""

    DEFECT = "defect"
    ADVICE = "advice"
    EITHER = "defect or advice"
    """Either, by the exception that the check raises: `CheckFailed` or `Advice`."""


class NotApplicable(Exception):
    """The check does not apply to this optimizer; the text says why."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


Function = Callable[["Subject"], str | None]
"""Returns what was measured, in words; raises `CheckFailed` or `NotApplicable`."""


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
