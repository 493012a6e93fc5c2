"""What the workers of a cluster answer, and how much of it is believed.

A worker is somebody's machine: what it sends is read as data, and held to what was asked for and
to what a run of ours can leave behind.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import numpy as np

from optbench.engine.error_text import LONGEST_ERROR
from optbench.engine.executors import Performed
from optbench.engine.remote_work import DONE
from optbench.engine.runs import Result, Trace
from optbench.engine.step_cost import MOST_BYTES
from optbench.engine.wire import NotOurs, decode
from optbench.engine.work import Parcel
from optbench.plain_text import LONGEST_SHOWN, on_a_line, printable
from optbench.problems import PROBLEMS

REFUSED = b"refused\n"
"""What a refusal begins with; JSON follows, with the worker's address and the reason."""


@dataclass(frozen=True)
class Refusal:
    """A worker takes no work.

    Attributes
    ----------
    worker : str
        Its address, as a line that a terminal can show; so is the reason.
    """

    worker: str
    reason: str


def read(reply: bytes, parcel: Parcel) -> Performed | Refusal:
    """What a worker says of a parcel.

    Raises
    ------
    NotOurs
        Where nobody says so who does the work; with what is wrong.
    """
    if reply.startswith(REFUSED):
        return _refusal(reply[len(REFUSED) :])
    if not reply.startswith(DONE):
        raise NotOurs(f"they begin with {reply[:16]!r}")
    performed = decode(reply[len(DONE) :], Performed)
    if tuple(result.run for result in performed.results) != parcel.runs:
        raise NotOurs("they are those of other runs")
    for result in performed.results:
        if flaw := _flaw(result):
            raise NotOurs(flaw)
    # Our own runs: what is no part of a run's identity is ours to know.
    ours = zip(performed.results, parcel.runs, strict=True)
    return replace(performed, results=tuple(replace(result, run=run) for result, run in ours))


def _refusal(content: bytes) -> Refusal:
    try:
        said = json.loads(content)
        worker, reason = said["worker"], said["reason"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotOurs(f"a refusal that cannot be read: {error}") from error
    return Refusal(on_a_line(str(worker), LONGEST_SHOWN), on_a_line(str(reason)))


def _flaw(result: Result) -> str:
    """What no run of ours leaves; the empty string where there is nothing of the kind."""
    targets = PROBLEMS[result.run.problem].targets
    counts = [result.steps, *(hit for hit in result.hits if hit is not None)]
    seconds = [each for each in (result.seconds, result.seconds_per_step) if each is not None]
    error = result.error or ""
    if len(result.hits) not in (0, len(targets)):
        return f"{len(result.hits)} hits of {len(targets)} targets"
    if not all(0 <= count <= result.run.budget for count in counts):
        return "a step that is not within the budget"
    if not all(0 <= each < math.inf for each in seconds):
        return "seconds that nothing takes"
    if not 0 <= (result.state_bytes or 0) <= MOST_BYTES:
        return "a state of no size"
    if len(error) > 2 * LONGEST_ERROR or printable(error) != error:
        return "an error that is no text of ours"
    for name, trace in result.traces.items():
        if not (name.isascii() and name.isidentifier() and len(name) <= 32):
            return "a trace without a name"
        if not _is_one(trace):
            return f"the trace {name!r} is no trace"
    return ""


def _is_one(trace: Trace) -> bool:
    steps, values = trace.steps, trace.values
    return (
        steps.ndim == 1
        and steps.shape == values.shape
        and (steps.dtype, values.dtype) == (np.dtype(np.int32), np.dtype(np.float32))
    )
