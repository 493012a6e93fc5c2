"""Exceptions that a check ends with where it does not pass."""

from __future__ import annotations

from optbench.errors import OptbenchError
from optbench.plain_text import printable


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


class NotApplicable(Exception):
    """The check does not apply to this optimizer; the text says why."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))
