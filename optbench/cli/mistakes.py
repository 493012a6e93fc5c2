"""Which exceptions are the user's to mend, and what to tell them."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy.exc import DatabaseError, OperationalError

from optbench.cli.wrong_use import WrongUse
from optbench.compare.bisection import NothingToFind
from optbench.compare.contest import NothingCompared
from optbench.engine.dask_connection import ClusterError
from optbench.engine.plan import NoSuchDevice, NothingToRun
from optbench.nightly.announcement import NotANight
from optbench.nightly.data_branch import DataBranchError
from optbench.nightly.github_issues import GhError
from optbench.nightly.night import NightGoingOn
from optbench.nightly.records import UnreadableRecords
from optbench.optimizers import WrongHyperparameter
from optbench.plain_text import first_mistake
from optbench.problems import DamagedData
from optbench.process.worker import CannotBegin
from optbench.registry import NotAdoptable, UnknownName
from optbench.report import NothingInBoth, NothingToReport, UnknownBaseline
from optbench.scaffold.mistake import ScaffoldError
from optbench.sources import SourceError
from optbench.store import StoreError
from optbench.tracking.accepted import WrongAcceptance
from optbench.tracking.asv_results import NoResults
from optbench.tracking.past import NothingToTell

MISTAKES = (
    WrongUse,
    ClusterError,
    CannotBegin,
    UnknownName,
    NotAdoptable,
    WrongHyperparameter,
    NoSuchDevice,
    NothingToRun,
    NothingInBoth,
    NothingToReport,
    UnknownBaseline,
    StoreError,
    DamagedData,
    SourceError,
    NothingCompared,
    NothingToFind,
    NoResults,
    NothingToTell,
    WrongAcceptance,
    NightGoingOn,
    UnreadableRecords,
    ScaffoldError,
    DataBranchError,
    NotANight,
    GhError,
)


def wrong_use(error: Exception) -> str | None:
    """What to tell the user, where the mistake is theirs; None where it is ours."""
    if isinstance(error, ValidationError):
        return first_mistake(error)
    if type(error) in (DatabaseError, OperationalError):
        # A damaged file, a full disk, a lock that nobody lets go of: of the store, not of ours.
        return f"the store cannot be used: {str(error.orig).splitlines()[0]}"  # type: ignore[attr-defined]
    if isinstance(error, MISTAKES):
        # KeyError and its kin quote their text when shown; args do not.
        return str(error.args[0]) if error.args else str(error)
    return None
