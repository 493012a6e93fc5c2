"""What a check is, and the two ways in which it can end other than well."""

from __future__ import annotations

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
    """

    function: Function
    slow: bool = False

    @property
    def name(self) -> str:
        """The promise, as an identifier: what ``--only`` takes."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """The promise in a sentence."""
        return (inspect.getdoc(self.function) or "").splitlines()[0]
