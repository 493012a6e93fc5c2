"""The first rung: the same trajectory, bit for bit, up to rounding, or another one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from optbench.analysis.comparison import Difference, Maths, MathsVerdict
from optbench.compare.probes import Description, Probe, Way, plan
from optbench.compare.requests import Failure, Walk
from optbench.compare.sides import SideProcess, both
from optbench.conformance.agreement import departure

ROUNDING = 1e-9
"""Of the way: what another order of the same operations stays under.

Gradients are given and nothing is fed back, so a rounding stays one: rewrites of one rule end
1e-13 to 1e-11 of the way apart. The least that another rule was seen to do is some 1e-9.
"""

PATIENCE = 3
"""Probes of one optimizer that may hang or crash on a side; the rest is then not tried."""


@dataclass(frozen=True)
class Seen:
    """What came of one probe: how far apart, or who failed and how.

    Attributes
    ----------
    kind : str
        ``same``, ``rounding``, ``changed``, ``base fails``, ``head fails``, or ``both fail``.
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
    first, *rest = plan(of_base, of_head)
    again = base.ask(Walk(target, first, wants))
    seen: list[Seen] = []
    trouble = 0
    for probe in (first, *rest):
        answers = both(base, head, Walk(target, probe, wants))
        if probe is first and not _repeats(again, answers[0]):
            return Maths(
                MathsVerdict.INCONCLUSIVE,
                "the base does not repeat its own steps: it draws numbers that no seed rules",
                probes=1,
            )
        seen.append(look(probe, *answers))
        trouble += any(isinstance(a, Failure) and a.kind in ("timeout", "crashed") for a in answers)
        if trouble >= PATIENCE:
            break
    return judge(seen, of_base, of_head)


def _repeats(one: np.ndarray | Failure, other: np.ndarray | Failure) -> bool:
    if isinstance(one, Failure) or isinstance(other, Failure):
        return True  # how it fails is looked at with the other side
    return same(one, other)


def look(probe: Probe, base: np.ndarray | Failure, head: np.ndarray | Failure) -> Seen:
    """What one probe shows."""
    if isinstance(base, Failure) or isinstance(head, Failure):
        if isinstance(base, Failure) and isinstance(head, Failure):
            return Seen(probe, "both fail", text=head.text)
        failed = base if isinstance(base, Failure) else head
        assert isinstance(failed, Failure)
        where = f" ({failed.where})" if failed.where else ""
        return Seen(
            probe, "base fails" if failed is base else "head fails", text=failed.text + where
        )
    if same(base, head):
        return Seen(probe, "same")
    length = min(len(base), len(head))
    ours, theirs = (torch.from_numpy(each[:length, :-1]) for each in (head, base))
    if base.shape == head.shape and np.array_equal(base[:, -1], head[:, -1]):
        parted = departure(ours[1:], theirs[1:], start=theirs[0], relative=ROUNDING)
        if parted is None:
            return Seen(probe, "rounding")
        step = parted.step
    else:
        calls = (base[:length, -1] != head[:length, -1]).nonzero()[0]
        step = int(calls[0]) if len(calls) else length
    way = float((theirs[: step + 1] - theirs[0]).abs().nan_to_num(0.0).max())
    apart = float((ours[step] - theirs[step]).abs().nan_to_num(torch.inf).max())
    return Seen(probe, "changed", step, apart / way if way else (np.inf if apart else 0.0))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit, but for the sign of zero; NaN equals NaN."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))


def judge(seen: Sequence[Seen], base: Description, head: Description) -> Maths:
    """The verdict, in words."""
    compared = [each for each in seen if each.kind != "both fail"]
    broken = [each for each in compared if each.kind == "head fails"]
    changed = [each for each in compared if each.kind in ("changed", "base fails")]
    differing = tuple(each.probe.name for each in compared if each in broken or each in changed)
    notes = _of_the_signature(base, head)
    if broken:
        first = broken[0]
        text = f"raises with {first.probe.condition}: {first.text}"
        if len(broken) < len(compared):
            text = f"{text}; {_where(broken, compared)}"
        verdict = MathsVerdict.BROKEN
        difference = Difference(first.probe.name, first.step, np.inf)
    elif changed:
        first = min(changed, key=lambda each: seen.index(each))
        verdict, difference = MathsVerdict.CHANGED, None
        if first.kind == "base fails":
            text = f"works with {first.probe.condition}, where the base raises: {first.text}"
            difference = Difference(first.probe.name, 0, np.inf)
        else:
            difference = Difference(first.probe.name, first.step, first.relative)
            text = (
                f"differs from step {first.step} on, by {first.relative:.2g} of the way; "
                f"{_where(changed, compared)}"
            )
    else:
        difference = None
        rounded = [each for each in compared if each.kind == "rounding"]
        verdict = MathsVerdict.ROUNDING if rounded else MathsVerdict.IDENTICAL
        text = f"in {len(rounded)} of {len(compared)} probes" if rounded else ""
    if not compared:
        verdict, text = MathsVerdict.INCONCLUSIVE, f"both sides fail on every probe: {seen[0].text}"
    return Maths(
        verdict, "; ".join(filter(None, (text, *notes))), difference, len(compared), differing
    )


def _where(hit: Sequence[Seen], compared: Sequence[Seen]) -> str:
    """Under what they differ: everywhere, only with some hyperparameter, or in which probes."""
    if len(hit) == len(compared):
        return "in every probe"
    first_is_plain = not hit[0].probe.settings and hit[0].probe.way in (Way.STEADY, Way.SHRINKING)
    if first_is_plain:
        spared = [each.probe.condition for each in compared if each not in hit]
        if len(spared) <= 3:
            return f"in every probe but {', '.join(spared)}"
        return f"in {len(hit)} of {len(compared)} probes, the defaults among them"
    shared = set.intersection(*({*each.probe.settings} for each in hit))
    if shared:
        names = sorted(shared)
        conditions = [each.probe.settings for each in hit]
        if len(hit) == 1:
            return f"only with {hit[0].probe.condition}"
        return (
            f"only with another {' and '.join(names)}"
            if all(len(each) >= 1 for each in conditions)
            else f"only with {', '.join(names)}"
        )
    conditions_ = list(dict.fromkeys(each.probe.condition for each in hit))
    more = f" and {len(conditions_) - 4} more" if len(conditions_) > 4 else ""
    return f"only with {'; '.join(conditions_[:4])}{more}"


def _of_the_signature(base: Description, head: Description) -> list[str]:
    """What changed in the constructor: names and defaults."""
    old, new = base.hyperparameters, head.hyperparameters
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
    return notes
