"""How a nightly run and its stages ended: the values that ``night.json`` holds."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from optbench.errors import OptbenchError
from optbench.plain_text import first_mistake
from optbench.tracking.records import Verdict
from optbench.whole_files import read_whole

# Names and errors may hold bytes that are no text, which no file in UTF-8 can.
Text = Annotated[
    str, AfterValidator(lambda text: text.encode("utf-8", "backslashreplace").decode())
]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class StageState(enum.StrEnum):
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


class NotANightlyRun(OptbenchError, ValueError):
    """A file that no nightly run has written; the text says what is wrong with it."""


class Stage(BaseModel, frozen=True):
    """A stage that has ended.

    Attributes
    ----------
    text : str
        What was done, in a line.
    seconds : float
        Duration.
    """

    name: Literal["runs", "asv", "publish", "compare", "history", "report"]
    state: StageState
    text: Text
    seconds: float

    @classmethod
    def of(cls, name: str, work: Callable[[], str], mistakes: tuple[type[Exception], ...]) -> Stage:
        """Do the work; what it raises, of its own kinds or of the ``mistakes``, is its state."""
        begun = time.monotonic()
        try:
            state, text = StageState.DONE, work()
        except LeftOut as error:
            state, text = StageState.LEFT_OUT, str(error)
        except NothingNew as error:
            state, text = StageState.NOTHING_NEW, str(error)
        except Exception as error:
            if not isinstance(error, (Failed, *mistakes)):
                raise
            # KeyError and its kin quote their text when shown; args do not.
            state, text = StageState.FAILED, str(error.args[0] if error.args else error)
        seconds = round(time.monotonic() - begun, 1)
        return cls.model_validate({"name": name, "state": state, "text": text, "seconds": seconds})


class Regression(BaseModel, frozen=True):
    """What got worse.

    Attributes
    ----------
    key : str
        The same in every nightly run that sees it.
    first, commit : str
        The oldest and the newest commit that it may have come with.
    reproduce : str
        A line for a shell, in the repository.
    """

    key: Text
    metric: Text
    optimizer: Text
    problem: Text | None
    first: Commit
    commit: Commit
    subject: Text
    size: Text
    text: Text
    reproduce: Text


class AcceptedFinding(BaseModel, frozen=True):
    """What got worse and is wanted, and why."""

    what: Text
    why: Text


class NightlyRun(BaseModel):
    """A nightly run that has ended.

    Attributes
    ----------
    branch : str
        That it ran on; empty where no branch was checked out.
    base : str or None
        The commit of the last one that passed.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)

    schema_: Literal[2] = Field(2, alias="schema")
    verdict: Verdict
    branch: Text
    commit: Commit
    subject: Text
    base: Commit | None
    started: datetime
    seconds: float
    stages: tuple[Stage, ...]
    regressions: tuple[Regression, ...]
    accepted: tuple[AcceptedFinding, ...] = ()
    notes: tuple[Text, ...] = ()


def read_nightly_run(path: Path) -> NightlyRun:
    """Read ``night.json``.

    Raises
    ------
    NotANightlyRun
    """
    try:
        return NightlyRun.model_validate_json(read_whole(path))
    except OSError as error:
        raise NotANightlyRun(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise NotANightlyRun(f"{path} is of no nightly run: {first_mistake(error)}") from error
