"""Are types kept, in parameters and in state?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from optbench.conformance.direction import MOVES_BY, rests_as_asked
from optbench.engine.error_text import describe
from optbench.scenarios.agreement import dtype_name, require_agreement, shown
from optbench.scenarios.catalogue import DECAYING
from optbench.scenarios.outcomes import Advice, CheckFailed, NotApplicable
from optbench.scenarios.perform import perform
from optbench.scenarios.scenario import Scenario
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject, require_determinism, require_separable

MUST = (torch.float64, torch.float32, torch.bfloat16)

MAY = (torch.complex64,)


def dtypes_are_kept(subject: Subject) -> str:
    """Parameters of float64, float32, bfloat16 (and complex64 if supported) move and keep it."""
    tried, refused, rests = [], [], ""
    for dtype in (*MUST, *MAY):
        name = dtype_name(dtype)
        try:
            session = Session(subject, subject.sequence(), dtype=dtype)
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
    said = [", ".join(tried), f"not supported: {', '.join(refused)}" if refused else "", rests]
    return "; ".join(filter(None, said))


def half_precision_stays_near_float32(subject: Subject) -> str:
    """Parameters of bfloat16 and float16 stay finite and near those of float32, decay and all."""
    require_determinism(subject)
    if subject.wants.evaluates_the_loss:
        raise NotApplicable("it compares losses, and a rounding decides which is the less")
    tried, weak = [], []
    for dtype, (gradients, bound) in ALLOWED.items():
        plain = Scenario("", gradients, ("one zero",), dtype=dtype)
        try:
            ours = perform(subject, plain).path
        # Half precision is not everybody's.
        except (Exception, SystemExit):  # noqa: BLE001
            continue
        theirs = perform(subject, replace(plain, dtype="float32")).path
        try:
            if not np.isfinite(ours).all():
                raise CheckFailed(f"{dtype} parameters are not finite where a gradient is zero")
            _require_near(ours, theirs, dtype, bound)
            if dtype == "bfloat16":
                _require_decay(subject)
        except CheckFailed as error:
            # In float16 an eps of 1e-8 is zero, and so is the square of a small gradient: training
            # in it without float32 copies is known for that.
            if dtype != "float16" and not isinstance(error, Advice):
                raise
            weak.append(str(error))
        tried.append(dtype)
    if not tried:
        raise NotApplicable("it takes neither bfloat16 nor float16 parameters")
    if weak:
        raise Advice("; ".join(weak))
    return ", ".join(tried)


ALLOWED = {"bfloat16": ("steady", 0.1), "float16": ("small", 0.5)}
"""Gradients that a type is tried on, and the difference from float32's path that it may come to.

Relative to the distance travelled, besides a rounding of the parameter a step. float16 is given
more: an eps that is chosen by the type, or a product too small for it, is no defect.
"""


def _require_near(ours: np.ndarray, theirs: np.ndarray, dtype: str, bound: float) -> None:
    path, other = (torch.from_numpy(each) for each in (ours, theirs))
    require_agreement(
        path[1:], other[1:], start=other[0], relative=bound, dtype=getattr(torch, dtype),
        who="float32 parameters", under=f"with {dtype} parameters",
    )  # fmt: skip


def _require_decay(subject: Subject) -> None:
    """Hold the decay of bfloat16 parameters, over many of them, against that of float32 ones."""
    if not all(map(subject.takes, DECAYING.settings)) or not subject.accepts(DECAYING.settings):
        return
    without = {**DECAYING.settings, "weight_decay": 0.0}
    shrunk = {}
    for dtype in ("float32", "bfloat16"):
        ends = [
            np.abs(perform(subject, replace(DECAYING, dtype=dtype, settings=settings)).path[-1])
            for settings in (DECAYING.settings, without)
        ]
        shrunk[dtype] = float(ends[1].mean() - ends[0].mean())
    if abs(shrunk["bfloat16"]) < 0.5 * abs(shrunk["float32"]):
        raise Advice(
            f"weight decay shrinks bfloat16 parameters by {shrunk['bfloat16']:.2g} and float32 "
            f"ones by {shrunk['float32']:.2g}, {shown(DECAYING.settings)}: in a step of its own "
            "it is rounded away; add it to the update before the parameter is rounded"
        )


def float64_parameters_have_float64_state(subject: Subject) -> str:
    """No state of a float64 parameter that holds a fraction is of lower precision."""
    seen, narrow = subject.state_of_float64
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
    sequence = subject.sequence(20).times(1e-5)
    settings = {"lr": 0.1} if subject.lr is not None else {}
    types = (torch.bfloat16, *[torch.float32] * (len(sequence.starts) - 1))
    try:
        mixed = Session(subject, sequence, settings, dtype=types).advance(20)
    except Exception as error:
        raise NotApplicable(
            f"it fails on mixed float32 and bfloat16 parameters: {describe(error)}"
        ) from error
    alone = Session(subject, sequence.select([1, 2]), settings, dtype=torch.float32).advance(20)
    for index in (0, 1):
        ours, theirs = mixed.positions()[index + 1], alone.positions()[index]
        begin = torch.from_numpy(sequence.starts[index + 1]).float()
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
