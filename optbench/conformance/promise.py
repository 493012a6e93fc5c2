"""What a check is, and the ways in which it can end other than well."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optbench.plain_text import printable

if TYPE_CHECKING:
    from optbench.conformance.subject import Subject


class Broken(AssertionError):
    """A promise that was not kept.

    Parameters
    ----------
    text : str
        What broke, with numbers, and under which settings.
    measured : float, optional
        The size of the departure, where the promise has a bound. A known defect names the most
        that it explains, so that it cannot hide a larger one.
    """

    def __init__(self, text: str, measured: float | None = None) -> None:
        super().__init__(printable(text))
        self.measured = measured


class Advice(Broken):
    """A promise that respected libraries leave out on purpose, and document.

    It is told, and fails nobody who does not ask for it (``--strict``).
    """


class Severity(enum.StrEnum):
    """What it means to break a promise."""

    DEFECT = "defect"
    ADVICE = "advice"
    EITHER = "defect or advice"
    """By how it is broken: the check raises `Broken` or `Advice`."""


class NotApplicable(Exception):
    """The check has nothing to say about this optimizer; the text says why."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


Function = Callable[["Subject"], str | None]
"""Returns what was seen, in words with numbers; raises `Broken` or `NotApplicable`."""


@dataclass(frozen=True)
class Check:
    """One promise of the contract.

    Attributes
    ----------
    function : callable
        Its name states the promise, its docstring's first line says it in a sentence.
    slow : bool
        It takes seconds (it starts processes, or it trains).
    severity : Severity
        What a broken one is, as its `Broken` and `Advice` say; an exception is always a defect.
    """

    function: Function
    slow: bool = False
    severity: Severity = Severity.DEFECT

    @property
    def name(self) -> str:
        """The promise, as an identifier: what ``--only`` takes."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """The promise in a sentence."""
        return (inspect.getdoc(self.function) or "").splitlines()[0]
