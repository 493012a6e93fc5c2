"""A part of a night, and how it ended."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass


class State(enum.StrEnum):
    """How a stage ended."""

    DONE = "done"
    NOTHING_NEW = "nothing new"
    LEFT_OUT = "left out"
    FAILED = "failed"


class LeftOut(Exception):
    """A stage that does not apply here; the text says why."""


class NothingNew(Exception):
    """A stage that found all of its work done; the text says what is there."""


class Failed(Exception):
    """A stage that could not do its work; the text says why."""


@dataclass(frozen=True)
class Stage:
    """A stage that has ended.

    Attributes
    ----------
    text : str
        What was done, in a line.
    seconds : float
        It took.
    """

    name: str
    state: State
    text: str
    seconds: float

    @classmethod
    def of(cls, name: str, work: Callable[[], str], mistakes: tuple[type[Exception], ...]) -> Stage:
        """Do the work; what it raises, of its own kinds or of the ``mistakes``, is its state."""
        begun = time.monotonic()
        try:
            state, text = State.DONE, work()
        except LeftOut as error:
            state, text = State.LEFT_OUT, str(error)
        except NothingNew as error:
            state, text = State.NOTHING_NEW, str(error)
        except Exception as error:
            if not isinstance(error, (Failed, *mistakes)):
                raise
            # KeyError and its kin quote their text when shown; args do not.
            state, text = State.FAILED, str(error.args[0] if error.args else error)
        return cls(name, state, text, time.monotonic() - begun)
