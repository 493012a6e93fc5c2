"""Are types kept, in parameters and in state?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.conformance.agreement import dtype_name, require_agreement
from optbench.conformance.course import Course
from optbench.conformance.direction import MOVES_BY, rests_as_asked
from optbench.conformance.outcomes import Advice, CheckFailed, NotApplicable
from optbench.conformance.session import Session
from optbench.conformance.subject import Subject, require_determinism, require_separable
from optbench.engine.error_text import describe
from optbench.engine.state import leaves_of

MUST = (torch.float64, torch.float32, torch.bfloat16)

MAY = (torch.complex64,)

ROUNDING = 1e-9
"""Rounding by multiplication with another number, relative to the distance travelled."""

TURN = 0.6 + 0.8j
"""A rotation by no multiple of a right angle, which would do no more than exchange the parts."""


def dtypes_are_kept(subject: Subject) -> str:
    """Parameters of float64, float32, bfloat16 (and complex64 if supported) move and keep it."""
    tried, refused, rests = [], [], ""
    for dtype in (*MUST, *MAY):
        name = dtype_name(dtype)
        try:
            session = Session(subject, subject.course(), dtype=dtype)
            before = session.position()
            session.advance(1)
            _require_dtype(session, dtype)
            session.advance(MOVES_BY - 1)
        except CheckFailed:
            raise
        except Exception as error:
            if dtype in (torch.float64, torch.float32):
                raise CheckFailed(f"{name} parameters: {describe(error)}") from error
            refused.append(f"{name} ({type(error).__name__})")
            continue
        _require_dtype(session, dtype)
        if dtype in (torch.float64, torch.float32) and torch.equal(before, session.position()):
            rests = rests_as_asked(subject, dtype)
            if not rests:
                raise CheckFailed(f"{name} parameters did not move in {MOVES_BY} steps")
        if not session.position().isfinite().all():
            raise CheckFailed(f"{name} parameters are not finite after {MOVES_BY} ordinary steps")
        tried.append(name)
        if dtype.is_complex:
            _require_real_view(subject)
    said = [", ".join(tried), f"not supported: {', '.join(refused)}" if refused else "", rests]
    return "; ".join(filter(None, said))


def _require_real_view(subject: Subject) -> None:
    """Hold complex parameters of an elementwise method against their real and imaginary parts."""
    if subject.wants.evaluates_the_loss or subject.draws or not subject.elementwise:
        return
    one, other = (subject.course(MOVES_BY, seed=seed) for seed in (0, 1))
    parts = _of_both(one, other, lambda a, b: np.stack((a, b), axis=-1))
    ours = Session(subject, _joined(one, other, 1.0), dtype=torch.complex128)
    start = ours.position()
    path = ours.trace(MOVES_BY)
    try:
        require_agreement(
            path, Session(subject, parts).trace(MOVES_BY), start=start,
            who="its real and imaginary parts as a tensor of real numbers",
            under="along complex parameters",
        )  # fmt: skip
    except CheckFailed as error:
        # A rule of absolute values is one, too: it goes the same way wherever the axes point.
        turned = Session(subject, _joined(one, other, TURN), dtype=torch.complex128)
        by = torch.view_as_complex(path.reshape(MOVES_BY, -1, 2)) * TURN
        apart = turned.trace(MOVES_BY) - torch.view_as_real(by).reshape(MOVES_BY, -1)
        if not apart.abs().max() <= ROUNDING * (path - start).abs().max():
            to_refuse = "to refuse complex parameters would be as good as view_as_real"
            raise CheckFailed(f"{error}; {to_refuse}", error.measured) from None
        text = f"{error}; it takes a complex number as one, where torch takes it as two"
        raise Advice(text, error.measured) from None


def _joined(real: Course, imaginary: Course, turn: complex) -> Course:
    """One course as the real parts of another's imaginary ones, turned about zero."""
    return _of_both(real, imaginary, lambda a, b: (a + 1j * b) * turn)


def _of_both(one: Course, other: Course, how: Callable[[Any, Any], np.ndarray]) -> Course:
    return Course(
        tuple(map(how, one.starts, other.starts)), tuple(map(how, one.gradients, other.gradients))
    )


def float64_parameters_have_float64_state(subject: Subject) -> str:
    """No state of a float64 parameter that holds a fraction is of lower precision."""
    session = Session(subject, subject.course()).advance(7)
    seen, narrow = 0, []
    for index in range(len(session.params)):
        for path, value in leaves_of(session.state_of(index)):
            if not (isinstance(value, Tensor) and value.is_floating_point()):
                continue
            seen += 1
            # A counter is exact in float32 until 16 million.
            whole = bool((value == value.round()).all()) and value.numel() == 1
            if value.dtype != torch.float64 and not whole:
                narrow.append(f"{path} of tensor {index} is {value.dtype}")
    if narrow:
        raise Advice("; ".join(narrow), len(narrow))
    if not seen:
        raise NotApplicable("it keeps no floating-point state")
    return f"{seen} tensors of state"


def a_parameter_of_another_dtype_does_not_interfere(subject: Subject) -> str:
    """A float32 tensor goes the same way after a bfloat16 one as alone."""
    require_determinism(subject)
    require_separable(subject)
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it evaluates the loss itself")
    # Small gradients: what is clamped by another type's smallest number shows.
    course = subject.course(20).times(1e-5)
    settings = {"lr": 0.1} if subject.lr is not None else {}
    types = (torch.bfloat16, *[torch.float32] * (len(course.starts) - 1))
    try:
        mixed = Session(subject, course, settings, dtype=types).advance(20)
    except Exception as error:
        raise NotApplicable(
            f"it fails on mixed float32 and bfloat16 parameters: {describe(error)}"
        ) from error
    alone = Session(subject, course.select([1, 2]), settings, dtype=torch.float32).advance(20)
    for index in (0, 1):
        ours, theirs = mixed.positions()[index + 1], alone.positions()[index]
        begin = torch.from_numpy(course.starts[index + 1]).float()
        way = float((theirs - begin).abs().max())
        apart = float((ours - theirs).abs().max())
        if apart > 1e-3 * way + 20 * 2**-23:
            raise CheckFailed(
                f"tensor {index + 1} (float32) moves {float((ours - begin).abs().max()):.3g} after "
                f"a bfloat16 tensor and {way:.3g} alone, in 20 steps",
                apart,
            )
    return "two float32 tensors after a bfloat16 one, gradients about 1e-5"


def _require_dtype(session: Session, dtype: torch.dtype) -> None:
    changed = {str(p.dtype) for p in session.params if p.dtype != dtype}
    if changed:
        name = dtype_name(dtype)
        raise CheckFailed(
            f"{name} parameters became {', '.join(sorted(changed))} by step {session.step}"
        )
