"""What a worker of a cluster says is held to what was asked, and to what a run can leave behind."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from clusters import parcel
from fuzzing import HOSTILE, fuzzed
from hypothesis import given
from hypothesis import strategies as st

from optbench.engine.answers import REFUSED, Refusal, read
from optbench.engine.error_text import LONGEST_ERROR
from optbench.engine.executors import Performed
from optbench.engine.remote_work import DONE
from optbench.engine.runs import Result, Status, Trace
from optbench.engine.wire import NotOurs, encode
from optbench.problems import PROBLEMS

PARCEL = parcel()
(RUN,) = PARCEL.runs
TRACE = Trace(np.array([0, 40], np.int32), np.array([1.0, 0.5], np.float32))
GOOD = Result(
    RUN,
    Status.OK,
    steps=40,
    hits=(7,) + (None,) * (len(PROBLEMS[RUN.problem].targets) - 1),
    seconds=0.1,
    seconds_per_step=1e-5,
    state_bytes=16,
    traces={"loss": TRACE},
)


def reply(*results: Result) -> bytes:
    return DONE + encode(Performed(results), Performed)


def test_what_a_run_can_leave_is_believed() -> None:
    given = read(reply(GOOD), PARCEL)
    assert isinstance(given, Performed)
    (result,) = given.results
    assert result.run is RUN
    assert (result.steps, result.hits, result.state_bytes) == (40, GOOD.hits, 16)
    assert result.traces["loss"].values.tolist() == [1.0, 0.5]
    failed = Result(RUN, Status.FAILED, error="e" * LONGEST_ERROR)
    assert isinstance(read(reply(failed), PARCEL), Performed)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "steps-below": ({"steps": -1}, "not within the budget"),
    "steps-above": ({"steps": 41}, "not within the budget"),
    "hit-above": ({"hits": (41, *GOOD.hits[1:])}, "not within the budget"),
    "hits-too-many": ({"hits": (*GOOD.hits, None)}, "hits of"),
    "seconds-negative": ({"seconds": -0.1}, "seconds that nothing takes"),
    "seconds-endless": ({"seconds": math.inf}, "seconds that nothing takes"),
    "seconds-none": ({"seconds_per_step": math.nan}, "seconds that nothing takes"),
    "state-negative": ({"state_bytes": -1}, "a state of no size"),
    "state-endless": ({"state_bytes": 2**62 + 1}, "a state of no size"),
    "error-endless": ({"error": "e" * (2 * LONGEST_ERROR + 1)}, "no text of ours"),
    "error-bell": ({"error": "\x1b]0;title\x07"}, "no text of ours"),
    "trace-unnamed": ({"traces": {"<script>": TRACE}}, "a trace without a name"),
    "trace-float64": (
        {"traces": {"loss": Trace(TRACE.steps, TRACE.values.astype(np.float64))}},
        "'loss' is no trace",
    ),
    "trace-ragged": ({"traces": {"loss": Trace(TRACE.steps[:1], TRACE.values)}}, "is no trace"),
    "trace-square": (
        {"traces": {"loss": Trace(*(np.ones((2, 2), t) for t in (np.int32, np.float32)))}},
        "is no trace",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_what_no_run_leaves_is_not(case: str) -> None:
    changes, said = WRONG[case]
    with pytest.raises(NotOurs, match=said):
        read(reply(replace(GOOD, **changes)), PARCEL)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "they begin with b''"),
        (DONE + b"nonsense", "no message of this optbench"),
        (reply(), "those of other runs"),
        (reply(GOOD, GOOD), "those of other runs"),
        (reply(replace(GOOD, run=replace(RUN, seed=1))), "those of other runs"),
        (REFUSED + b"{}", "a refusal that cannot be read"),
        (REFUSED + b"[" * 100_000, "a refusal that cannot be read"),
    ],
)
def test_what_is_no_answer(content: bytes, said: str) -> None:
    with pytest.raises(NotOurs, match=said):
        read(content, PARCEL)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_refusal_can_be_shown(text: str) -> None:
    said = json.dumps({"worker": text, "reason": text}).encode()
    refusal = read(REFUSED + said, PARCEL)
    assert isinstance(refusal, Refusal)
    assert refusal.worker.isprintable()
    assert refusal.reason.isprintable()


@fuzzed()
@given(st.sampled_from((b"", DONE, REFUSED)), st.binary(max_size=200))
def test_any_bytes(kind: bytes, content: bytes) -> None:
    with contextlib.suppress(NotOurs):
        read(kind + content, PARCEL)
