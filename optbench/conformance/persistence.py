"""Does a checkpoint hold all that matters?"""

from __future__ import annotations

import copy
import io
import pickle
import re
from typing import Any

import torch

from optbench.engine.error_text import describe
from optbench.scenarios.agreement import dtype_name, require_same_bits
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject

ODD = 301
"""Past 256, where bfloat16 stops counting, and odd: a rounded counter is off by one."""

FAR = 2101
"""Past 2,048, where float16 stops counting."""

AFTER = 50
"""Steps by which a resumed run is followed."""

AFTER_WITH_CLOSURE = 10
"""The same of a method that takes a closure: each step may be twenty evaluations."""


def saves_and_loads_at_step_301(subject: Subject) -> str:
    """A fresh instance that loads the state at step 301 goes on with the same bits."""
    tried = _resumes(subject, ODD, (torch.float64, torch.float32, torch.bfloat16))
    return f"{_followed(subject)} steps with the same bits in {tried}"


def saves_and_loads_beyond_2100_steps(subject: Subject) -> str:
    """A fresh instance that loads the state at step 2,101 goes on with the same bits."""
    tried = _resumes(subject, FAR, (torch.float16, torch.float64))
    return f"{_followed(subject)} steps with the same bits in {tried}"


def deepcopies_and_pickles(subject: Subject) -> str:
    """A deep copy and a pickled copy of parameters and optimizer go on with the same bits."""
    session = Session(subject, subject.sequence()).advance(21)  # odd: a lost parity shows
    copies: dict[str, Session] = {}
    for name, how in (("deepcopy", copy.deepcopy), ("pickle", _through_pickle)):
        try:
            copies[name] = session.copied(how)
        except Exception as error:
            raise CheckFailed(f"{name} fails: {describe(error)}") from error
    expected = session.trace(20)
    for name, each in copies.items():
        try:
            ours = each.trace(20)
        except Exception as error:
            raise CheckFailed(
                f"a copy by {name} cannot go on (Optimizer.__getstate__ keeps defaults, state and "
                f"param_groups, no other attribute): {describe(error)}"
            ) from error
        require_same_bits(ours, expected, f"a copy by {name} goes another way")
    return "20 steps with the same bits"


def _through_pickle(value: Any) -> Any:
    buffer = io.BytesIO()
    pickle.dump(value, buffer)
    buffer.seek(0)
    return pickle.load(buffer)


def _why(error: Exception) -> str:
    """Return the error of loading, on one line."""
    if refused := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
        return (
            f"its state_dict holds a {refused[1]}, which torch.load refuses unless it is told "
            "weights_only=False"
        )
    return describe(error).splitlines()[0][:160]


def _resumes(subject: Subject, at: int, dtypes: tuple[torch.dtype, ...]) -> str:
    tried, refused = [], ""
    after = _followed(subject)
    for dtype in dtypes:
        # Gradients of a steady scale keep half precision in its range.
        session = Session(subject, subject.sequence(), dtype=dtype)
        try:
            session.spend(at)
        except Exception as error:
            if dtype in (torch.float16, torch.bfloat16):
                refused = describe(error).splitlines()[0]
                continue  # half precision is not everybody's; float64 is
            raise
        try:
            fresh = session.resumed()
            lost = _lost(session.optimizer, fresh.optimizer)
            ours = fresh.trace(after)
        except Exception as error:
            said = _why(error)
            raise CheckFailed(
                f"cannot be resumed at step {at} with {dtype_name(dtype)} parameters: {said}"
            ) from error
        expected = session.trace(after)
        if not expected.isfinite().all() and dtype in (torch.float64, torch.float32):
            raise NotApplicable(
                "it diverges on this check's prescribed gradients, which do not depend on its "
                "parameters"
            )
        require_same_bits(
            ours,
            expected,
            f"loaded at step {at}, it goes another way ({dtype_name(dtype)} parameters{lost})",
        )
        tried.append(dtype_name(dtype))
    if not tried:
        raise NotApplicable(refused)
    return ", ".join(tried)


def _followed(subject: Subject) -> int:
    return AFTER_WITH_CLOSURE if subject.wants.closure else AFTER


def _lost(original: torch.optim.Optimizer, loaded: torch.optim.Optimizer) -> str:
    """Plain attributes that a checkpoint did not bring along, in words."""
    here, there = vars(original), vars(loaded)
    lost = [
        f"{name} is {value!r} and {there[name]!r} in the loaded one"
        for name, value in here.items()
        if isinstance(value, int | float | str) and name in there and there[name] != value
    ]
    return (
        f"; its attribute {', '.join(lost)}: state belongs into self.state or a group"
        if lost
        else ""
    )
