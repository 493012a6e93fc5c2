"""The first rung: the same trajectory, bit for bit, up to rounding, or another one?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optbench.comparison.probes import Description, Probe, Way, plan
from optbench.comparison.requests import Failure, Hold, Kept, Request, Walk
from optbench.comparison.sides import SideProcess, both
from optbench.verdicts.comparison import Difference, Maths, MathsVerdict

ROUNDING = 1e-9
"""Bound on reordered operations, relative to the distance travelled.

Gradients are given and nothing is fed back, so a rounding stays one: rewrites of one rule end
1e-13 to 1e-11 times the distance travelled. The smallest difference of another rule that was
seen is some 1e-9.
"""

PROMISES = (
    "saves_and_loads_at_step_301",
    "a_gradient_scaler_does_not_matter",
)
"""Of the contract, for what float64 trajectories cannot show: a checkpoint in half precision, and
mixed precision. Each side is held against itself, so that a rounding is none of their matter."""

PATIENCE = 3
"""Probes of one optimizer that may hang or crash on a side; the rest is then not tried."""


DIFFERENT = frozenset(("changed", "head fails"))
"""Verdicts that say that the sides differ."""


@dataclass(frozen=True)
class ProbeOutcome:
    """What came of one probe: how far apart, or who failed and how.

    Attributes
    ----------
    kind : str
        ``same``, ``rounding``, ``changed``, ``base fails``, ``head fails``, ``both fail``, or
        ``does not repeat``, where a side differs from itself.
    """

    probe: Probe
    kind: str
    step: int = 0
    relative: float = 0.0
    text: str = ""


def compare_maths(
    base: SideProcess, head: SideProcess, target: str, of_base: Description, of_head: Description
) -> Maths:
    """Lead both sides along every probe, and say what they make of it."""
    wants = of_base.wants
    seen: list[ProbeOutcome] = []
    trouble = 0
    # Whether the class may be another one than it was imported as: torch changes some for good when
    # a state is loaded, also by an optimizer before this one.
    suspect = True

    def asked(
        request: Request, look_at: Callable[[Any, Any], ProbeOutcome]
    ) -> tuple[ProbeOutcome, Sequence[Any]]:
        nonlocal suspect
        answers = both(base, head, request)
        shown = look_at(*answers)
        told = any(each.probe.is_plain and each.kind in DIFFERENT for each in seen)
        if shown.kind in DIFFERENT and seen and not told and suspect:
            suspect = False
            base.end()
            head.end()
            answers = both(base, head, request)
            shown = look_at(*answers)
        suspect |= shown.probe.way in (Way.LOADED, Way.PROMISE)
        return shown, answers

    probes = plan(of_base, of_head)
    for probe in probes:
        shown, answers = asked(Walk(target, probe, wants), functools.partial(look, probe))
        if shown.kind == "changed":
            # Whose steps do not repeat differs from itself: that is no difference between two.
            again = both(base, head, Walk(target, probe, wants))
            if not all(map(_repeats, answers, again)):
                shown = replace(shown, kind="does not repeat")
        seen.append(shown)
        trouble += any(isinstance(a, Failure) and a.kind in ("timeout", "crashed") for a in answers)
        if trouble >= PATIENCE:
            break
    else:
        for promise in PROMISES:
            about = functools.partial(look_at_promise, promise)
            seen.append(asked(Hold(target, promise), about)[0])
    return judge(seen, of_base, of_head, untried=max(0, len(probes) - len(seen)))


def _repeats(one: np.ndarray | Failure, other: np.ndarray | Failure) -> bool:
    if isinstance(one, Failure) or isinstance(other, Failure):
        return True  # how it fails is looked at with the other side
    return same(one, other)


def look(probe: Probe, base: np.ndarray | Failure, head: np.ndarray | Failure) -> ProbeOutcome:
    """Compare the answers to one probe."""
    if isinstance(base, Failure) or isinstance(head, Failure):
        if isinstance(base, Failure) and isinstance(head, Failure):
            return ProbeOutcome(probe, "both fail", text=head.text)
        failed = base if isinstance(base, Failure) else head
        assert isinstance(failed, Failure)
        where = f" ({failed.where})" if failed.where else ""
        return ProbeOutcome(
            probe, "base fails" if failed is base else "head fails", text=failed.text + where
        )
    if same(base, head):
        return ProbeOutcome(probe, "same")
    return _apart(probe, base, head)


def _apart(probe: Probe, base: np.ndarray, head: np.ndarray) -> ProbeOutcome:
    """Tell rounding from a difference, and from which step on and how far."""
    # Not before: where nothing differs the coordinator does without torch.
    import torch

    from optbench.conformance.agreement import FLOAT32, departure

    length = min(len(base), len(head))
    ours, theirs = (torch.from_numpy(each[:length, :-1]) for each in (head, base))
    if base.shape == head.shape and np.array_equal(base[:, -1], head[:, -1]):
        narrow = probe.way is Way.FLOAT32
        parted = departure(
            ours[1:],
            theirs[1:],
            start=theirs[0],
            relative=FLOAT32 if narrow else ROUNDING,
            dtype=torch.float32 if narrow else torch.float64,
        )
        if parted is None:
            far, off = (
                float(each.abs().nan_to_num(0.0, 0.0, 0.0).max())
                for each in (theirs - theirs[0], ours - theirs)
            )
            return ProbeOutcome(probe, "rounding", relative=off / far if far else 0.0)
        step = parted.step
    else:
        calls = (base[:length, -1] != head[:length, -1]).nonzero()[0]
        step = int(calls[0]) if len(calls) else length - 1
    come = (theirs[: step + 1] - theirs[0]).abs()
    way = float(torch.where(come.isfinite(), come, 0.0).max())
    known = ours[step].isfinite() & theirs[step].isfinite()
    alike = (ours[step] == theirs[step]) | (ours[step].isnan() & theirs[step].isnan())
    apart = (ours[step] - theirs[step]).abs()[known]
    if not (known | alike).all():
        relative = np.inf
    else:
        largest = float(apart.max()) if len(apart) else 0.0
        relative = largest / way if way else (np.inf if largest else 0.0)
    return ProbeOutcome(probe, "changed", step, relative)


def look_at_promise(promise: str, base: Kept | Failure, head: Kept | Failure) -> ProbeOutcome:
    """Describe a check that one side passes and the other fails."""
    probe = Probe(promise, Way.PROMISE)
    if isinstance(base, Failure) or isinstance(head, Failure):
        return look(probe, base, head)  # type: ignore[arg-type]
    if base.kept and head.kept is False:
        return ProbeOutcome(
            probe, "changed", text=f"does not keep {promise}, as the base does: {head.text}"
        )
    if head.kept and base.kept is False:
        return ProbeOutcome(
            probe, "changed", text=f"keeps {promise}, as the base does not: {base.text}"
        )
    return ProbeOutcome(probe, "same" if base.kept is not None else "both fail", text=base.text)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit, but for the sign of zero; NaN equals NaN."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))


def judge(
    seen: Sequence[ProbeOutcome], base: Description, head: Description, *, untried: int = 0
) -> Maths:
    """Return the verdict; ``untried`` are probes that hangs and crashes left no time for."""
    compared = [each for each in seen if each.kind not in ("both fail", "does not repeat")]
    broken = [each for each in compared if each.kind == "head fails"]
    # What works now and did not: a change where it is ordinary use, else no one's results differ.
    new = [each for each in compared if each.kind == "base fails"]
    mended = [each for each in new if each.probe.is_plain]
    changed = [each for each in compared if each.kind == "changed" or each in mended]
    differing = tuple(
        dict.fromkeys(each.probe.name for each in compared if each in broken or each in changed)
    )
    notes = _of_the_signature(base, head)
    if beside := list(dict.fromkeys(each.probe.name for each in new if each not in mended)):
        notes.append(f"now works with {'; '.join(beside[:4])}, where the base raises")
    if broken:
        first = broken[0]
        verdict = MathsVerdict.BROKEN
        difference = Difference(first.probe.name, first.step, np.inf)
        text = f"raises with {first.probe.condition}: {first.text}"
        if len(broken) < len(compared):
            text += f"; {_where(broken, compared)}"
        if changed:
            text += f"; besides, it {_how(changed[0])}"
    elif changed:
        first = changed[0]
        verdict = MathsVerdict.CHANGED
        difference = Difference(first.probe.name, first.step, first.relative)
        text = _how(first)
        if first.probe.way is not Way.PROMISE:
            text += f"; {_where(changed, compared)}"
        if differing == ("defaults",):
            text += "; with the base's defaults the trajectories agree"
    else:
        difference = None
        rounded = [each for each in compared if each.kind == "rounding"]
        verdict = MathsVerdict.ROUNDING if rounded else MathsVerdict.IDENTICAL
        # In float32 a rounding is a larger one; what is told is of float64.
        wide = [each.relative for each in rounded if each.probe.way is not Way.FLOAT32]
        largest = max(wide, default=0.0)
        text = (
            f"by at most {largest:.1g} times the distance travelled, in {len(rounded)} of "
            f"{len(compared)} probes"
            if rounded
            else ""
        )
    lost = [each for each in seen if each.kind == "both fail" and each.probe.settings]
    if len(lost) > len(seen) // 3:
        notes.append(f"{len(lost)} probes fail on both sides: {lost[0].text}")
    restless = [each for each in seen if each.kind == "does not repeat"]
    if restless:
        names = "; ".join(dict.fromkeys(each.probe.name for each in restless[:4]))
        notes.append(f"does not repeat its own steps with {names}: it draws what no seed rules")
    if untried:
        notes.append(f"{untried} probes were not tried, for {PATIENCE} hang or crash")
    if verdict in (MathsVerdict.IDENTICAL, MathsVerdict.ROUNDING) and (
        untried or any(each.probe.is_plain for each in restless)
    ):
        verdict = MathsVerdict.INCONCLUSIVE
    if not compared and not restless:
        verdict, text = MathsVerdict.INCONCLUSIVE, f"both sides fail on every probe: {seen[0].text}"
    # One that raises at its defaults cannot be trained; one that raises elsewhere may.
    plain = any(each.probe.is_plain for each in changed) and not any(
        each.probe.is_plain for each in broken
    )
    shown = [each.probe.settings for each in changed if _can_be_trained_with(each.probe)]
    return Maths(
        verdict,
        "; ".join(filter(None, (text, *notes))),
        difference,
        len(compared),
        differing,
        at_defaults=plain,
        under=shown[0] if shown and not plain else {},
    )


def _can_be_trained_with(probe: Probe) -> bool:
    """Whether a run can show what the probe does: by hyperparameters, and downwards."""
    # Decay moves the minimum, and the gap is that to the minimum without it.
    untold = {"maximize", "weight_decay"} & {*probe.settings}
    return probe.way is Way.SHRINKING and bool(probe.settings) and not untold


def _how(seen: ProbeOutcome) -> str:
    """Describe one probe's difference, as a verb."""
    if seen.probe.way is Way.PROMISE:
        return seen.text
    if seen.kind == "base fails":
        return f"works with {seen.probe.condition}, where the base raises: {seen.text}"
    apart = f"by {seen.relative:.2g} times the distance travelled"
    if not seen.relative:
        apart = "in how often it asks for the loss"
    if np.isinf(seen.relative):
        apart = "where one side rests or is not finite"
    return f"differs from step {seen.step} on, {apart}"


def _where(hit: Sequence[ProbeOutcome], compared: Sequence[ProbeOutcome]) -> str:
    """Under what they differ: everywhere, only with some hyperparameter, only in some way."""
    probes = [each for each in compared if each.probe.way is not Way.PROMISE]
    names = list(dict.fromkeys(each.probe.name for each in hit))
    spared = list(dict.fromkeys(each.probe.name for each in probes if each not in hit))
    if not spared:
        return "in every probe"
    if len(hit) == 1:
        return f"only with {hit[0].probe.condition}"
    if hit[0].probe.is_plain:
        if len(spared) <= 3:
            return f"in every probe but {'; '.join(spared)}"
        return f"in {len(hit)} of {len(probes)} probes, the defaults among them"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"only with {'; '.join(names[:4])}{more}"


def _of_the_signature(base: Description, head: Description) -> list[str]:
    """Describe changed names and defaults of the constructor."""
    old, new = ({**each.opaque, **each.hyperparameters} for each in (base, head))
    notes = [
        f"the default of {name} went from {old[name]!r} to {new[name]!r}"
        for name in old
        if name in new and repr(old[name]) != repr(new[name])
    ]
    gone = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    if gone:
        notes.append(f"takes no {', '.join(gone)} any more")
    if added:
        notes.append(f"now takes {', '.join(added)}")
    if base.uncompiled or head.uncompiled:
        notes.append("compared uncompiled (--compile leaves torch.compile on)")
    # Beside named ones **kwargs are mostly for swallowing; alone they are all there is.
    if base.open_ended and head.open_ended and len(base.arguments) <= 1:
        notes.append("takes **kwargs, of which none was disturbed")
    return notes
