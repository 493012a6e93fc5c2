"""The first rung: the same trajectory, bit for bit, up to rounding, or another one?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optbench.comparison.requests import (
    Averages,
    Failure,
    GoOn,
    Hold,
    Kept,
    Observe,
    Perform,
    Request,
    Save,
)
from optbench.comparison.sides import SideProcess, both
from optbench.scenarios.catalogue import (
    CHECKPOINT_STEPS,
    DEFAULTS,
    Description,
    changed_defaults,
    plan,
    switched_on,
    with_settings,
)
from optbench.scenarios.record import Checkpoint, Record, disagreements
from optbench.scenarios.relations import RELATIONS, Relation
from optbench.scenarios.scenario import Scenario
from optbench.verdicts.comparison import Difference, Maths, MathsVerdict

ROUNDING = 1e-9
"""Bound on reordered operations, relative to the distance travelled.

Gradients are given and nothing is fed back, so a rounding stays one: rewrites of one rule end
1e-13 to 1e-11 times the distance travelled. The smallest difference of another rule that was
seen is some 1e-9.
"""

CHECKS = ("saves_and_loads_at_step_301",)
"""Of the contract, for what float64 trajectories cannot show: a checkpoint in half precision. Each
side is held against itself, so that a rounding is none of its matter."""

PATIENCE = 3
"""Scenarios of one optimizer that may hang or crash on a side; the rest is then not tried."""


OUTSIDE_OF_STEPS = "construction, zero_grad, hooks and derivatives"

AVERAGES = "averages of the weights in the state"

DIFFERENT = frozenset(("changed", "head fails"))
"""Verdicts that say that the sides differ."""


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario: how far apart the versions are, or which one failed and how.

    Attributes
    ----------
    kind : str
        ``same``, ``rounding``, ``changed``, ``base fails``, ``head fails``, ``both fail``,
        ``does not repeat``, where a side differs from itself, or ``noted``, where the base is not
        what the head has to go by.
    step : int
        The first step after which the paths differ.
    relative : float
        Their difference then, relative to the distance travelled.
    text : str
        What one side raises, or what else than the path differs.
    """

    scenario: Scenario
    kind: str
    step: int = 0
    relative: float = 0.0
    text: str = ""

    @property
    def is_a_check(self) -> bool:
        """Whether it is about a check that one side fails."""
        return self.scenario.name in CHECKS

    @property
    def is_outside_of_steps(self) -> bool:
        """Whether it is about something else than steps of one side along a scenario."""
        return self.is_a_check or self.scenario.name in (OUTSIDE_OF_STEPS, AVERAGES)


def compare_maths(
    base: SideProcess, head: SideProcess, target: str, of_base: Description, of_head: Description
) -> Maths:
    """Put both sides through every scenario, and say what they make of it."""
    wants = of_base.wants
    seen: list[Outcome] = []
    trouble = 0
    # Whether the class may be another one than it was imported as: torch changes some for good when
    # a state is loaded, also by an optimizer before this one.
    suspect = True

    def asked(request: Request, look_at: Callable[[Any, Any], Outcome]) -> Outcome:
        nonlocal suspect, trouble
        answers = both(base, head, request)
        shown = look_at(*answers)
        told = any(each.scenario.is_plain and each.kind in DIFFERENT for each in seen)
        if shown.kind in DIFFERENT and seen and not told and suspect:
            suspect = False
            base.end()
            head.end()
            answers = both(base, head, request)
            shown = look_at(*answers)
        trouble += any(isinstance(a, Failure) and a.kind in ("timeout", "crashed") for a in answers)
        if shown.kind == "changed":
            # Who does not repeat differs from itself: that is no difference between two.
            again = both(base, head, request)
            if not all(map(_repeats, answers, again)):
                return replace(shown, kind="does not repeat")
            if isinstance(request, Perform) and not shown.text and (law := law_of(shown.scenario)):
                like = replace(request, scenario=partner(law, shown.scenario))
                return look_at_law(law, shown, answers, both(base, head, like))
        return shown

    scenarios = plan(of_base, of_head)
    for scenario in scenarios:
        seen.append(asked(Perform(target, scenario, wants), functools.partial(look, scenario)))
        suspect |= _loads(scenario)
        if trouble >= PATIENCE:
            break
    else:
        for check in CHECKS:
            seen.append(asked(Hold(target, check), functools.partial(look_at_check, check)))
            suspect = True
        given = changed_defaults(of_base, of_head)
        beside = functools.partial(look, Scenario(OUTSIDE_OF_STEPS))
        seen.append(asked(Observe(target, given), beside))
        alone = replace(DEFAULTS, settings=given, is_plain=False)
        for own in ({}, *switched_on(of_base, of_head)):
            under = replace(alone, settings={**given, **own})
            look_under = functools.partial(look_at_averages, own)
            seen.append(asked(Averages(target, under), look_under))
        scenario = replace(
            alone, name="a checkpoint of the base", condition="a checkpoint that the base saved",
            steps=CHECKPOINT_STEPS,
        )  # fmt: skip
        saved, own = both(base, head, Save(target, scenario, wants))
        if isinstance(saved, Checkpoint) and isinstance(own, Checkpoint):
            going_on = functools.partial(look_at_checkpoint, scenario, saved, own)
            seen.append(asked(GoOn(target, scenario, wants, saved), going_on))
    return judge(seen, of_base, of_head, untried=max(0, len(scenarios) - len(seen)))


def _loads(scenario: Scenario) -> bool:
    """Whether a state is loaded in it."""
    return any("load" in event.action for event in scenario.events)


def _repeats(one: Any, other: Any) -> bool:
    if isinstance(one, Failure) or isinstance(other, Failure):
        return True  # how it fails is looked at with the other side
    if isinstance(one, Record) and isinstance(other, Record):
        return same(one.path, other.path) and not any(disagreements(one, other, 0.0))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def look(scenario: Scenario, base: Record | Failure, head: Record | Failure) -> Outcome:
    """Compare the records of one scenario."""
    if isinstance(base, Failure) or isinstance(head, Failure):
        return _failed(scenario, base, head)
    if same(base.path, head.path):
        outcome = Outcome(scenario, "same")
    else:
        outcome = _apart(scenario, base.path, head.path)
    if outcome.kind == "changed":
        return outcome
    differing = next(disagreements(head, base, _bounds(scenario)[1]), None)
    return replace(outcome, kind="changed", text=str(differing)) if differing else outcome


def _failed(scenario: Scenario, base: Any, head: Any) -> Outcome:
    if isinstance(base, Failure) and isinstance(head, Failure):
        return Outcome(scenario, "both fail", text=head.text)
    failed = base if isinstance(base, Failure) else head
    where = f" ({failed.where})" if failed.where else ""
    return Outcome(
        scenario, "base fails" if failed is base else "head fails", text=failed.text + where
    )


NARROW = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.1}
"""Bounds on reordered operations in narrower types, relative to the distance travelled."""


def _bounds(scenario: Scenario) -> tuple[float, float]:
    """Return the bounds on the difference of paths and on that of other observables."""
    path = NARROW.get(scenario.dtype, ROUNDING)
    return path, {"float32": 1e-3}.get(scenario.dtype, 1e-2 if scenario.dtype in NARROW else path)


def _apart(scenario: Scenario, base: np.ndarray, head: np.ndarray) -> Outcome:
    """Tell rounding from a difference, and from which step on and how far."""
    # Not before: where nothing differs the coordinator does without torch.
    import torch

    from optbench.scenarios.agreement import departure

    length = min(len(base), len(head))
    ours, theirs = (torch.from_numpy(each[:length]) for each in (head, base))
    if base.shape == head.shape:
        dtype = getattr(torch, scenario.dtype)
        parted = departure(
            ours[1:],
            theirs[1:],
            start=theirs[0],
            relative=_bounds(scenario)[0],
            dtype=dtype if dtype.is_floating_point else torch.float64,
        )
        if parted is None:
            far, off = (
                float(each.abs().nan_to_num(0.0, 0.0, 0.0).max())
                for each in (theirs - theirs[0], ours - theirs)
            )
            return Outcome(scenario, "rounding", relative=off / far if far else 0.0)
        step = parted.step
    else:
        step = length - 1
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
    return Outcome(scenario, "changed", step, relative)


def look_at_check(check: str, base: Kept | Failure, head: Kept | Failure) -> Outcome:
    """Describe a check that one side passes and the other fails."""
    scenario = Scenario(check)
    if isinstance(base, Failure) or isinstance(head, Failure):
        return _failed(scenario, base, head)
    if base.kept and head.kept is False:
        return Outcome(
            scenario, "changed", text=f"fails {check}, as the base does not: {head.text}"
        )
    if head.kept and base.kept is False:
        return Outcome(
            scenario, "changed", text=f"passes {check}, as the base does not: {base.text}"
        )
    return Outcome(scenario, "same" if base.kept is not None else "both fail", text=base.text)


def look_at_averages(settings: Mapping[str, Any], base: Any, head: Any) -> Outcome:
    """Compare the averages of the weights in the state, whatever they are called there."""
    scenario = Scenario(AVERAGES)
    if isinstance(base, Failure) or isinstance(head, Failure):
        return Outcome(scenario, "both fail", text="not looked at")
    for place, values in base.items():
        tensor = place.rpartition(" of ")[2]
        candidates = [found for name, found in head.items() if name.rpartition(" of ")[2] == tensor]
        distance = max(1e-300, float(np.abs(values).max()))
        if not any(np.abs(found - values).max() <= ROUNDING * distance for found in candidates):
            under = "".join(f" with {name}={value!r}" for name, value in settings.items())
            text = f"the average of the weights in the state, {place}, has no equal{under}"
            return Outcome(scenario, "changed", DEFAULTS.steps, 0.0, text)
    return Outcome(scenario, "same" if base else "both fail")


AS_FAR = 10.0
"""Factor up to which two versions are taken to break a law alike."""


def law_of(scenario: Scenario) -> Relation | None:
    """Return the law by which the scenario goes like another one, at the defaults or with more."""
    names = (scenario.name, scenario.name.partition(", ")[2])
    laws = (each for each in RELATIONS if each.scenario.name in names and each.like is not None)
    return next(laws, None)


def partner(law: Relation, scenario: Scenario) -> Scenario:
    """Return what the scenario of a law has to go like, under the same settings."""
    assert law.like is not None
    own = law.scenario.settings
    given = {name: value for name, value in scenario.settings.items() if name not in own}
    return replace(with_settings(law.like, given), shapes=scenario.shapes)


def look_at_law(
    law: Relation, shown: Outcome, ours: Sequence[Any], partners: Sequence[Any]
) -> Outcome:
    """Note a difference where the base breaks a law, and the head breaks it no more than that.

    Such a base is no example: no result that anybody relies on depends on what it does there.
    ``ours`` are records of base and head in the law's scenario, ``partners`` in its partner.
    """
    if look(shown.scenario, *partners).kind not in ("same", "rounding"):
        return shown
    base, head = (_off(law, *each) for each in zip(ours, partners, strict=True))
    if not base or head > AS_FAR * base:
        return shown
    how = "breaks, too, in another way" if head else "does not break any more"
    text = f"with {shown.scenario.when} the base breaks {law.check}, which the head {how}"
    return replace(shown, kind="noted", text=text)


def _off(law: Relation, record: Record, like: Record) -> float:
    """Return by how much of the distance travelled a version breaks a law; 0: it holds it."""
    import torch

    from optbench.scenarios.agreement import departure

    ours = torch.from_numpy(record.path)
    theirs = torch.from_numpy(-like.path if law.mirrored else like.path)
    if ours.shape != theirs.shape:
        return np.inf
    dtype = getattr(torch, law.scenario.dtype)
    parted = departure(
        ours[1:], theirs[1:], start=theirs[0], relative=law.bound,
        dtype=dtype if dtype.is_floating_point else torch.float64,
    )  # fmt: skip
    return 0.0 if parted is None else parted.worst


def look_at_checkpoint(
    scenario: Scenario,
    saved: Checkpoint,
    own: Checkpoint,
    base: Record | Failure,
    head: Record | Failure,
) -> Outcome:
    """Compare how both sides go on from ``saved``, the base's; ``own`` is the head's."""
    shown = look(scenario, base, head)
    if shown.kind not in DIFFERENT or saved.format == own.format:
        return shown
    # Keys of the state may be renamed, and are, by refactorings.
    keys = ", ".join(sorted({each.partition(":")[0] for each in saved.format ^ own.format}))
    text = f"keeps another state ({keys}): a checkpoint of the base {_how_it_goes(shown)}"
    return replace(shown, kind="noted", text=text)


def _how_it_goes(shown: Outcome) -> str:
    return f"raises {shown.text}" if shown.kind == "head fails" else "goes on otherwise"


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Bit for bit, but for the sign of zero; NaN equals NaN."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))


def judge(
    seen: Sequence[Outcome], base: Description, head: Description, *, untried: int = 0
) -> Maths:
    """Return the verdict; ``untried`` are scenarios that hangs and crashes left no time for."""
    compared = [each for each in seen if each.kind not in ("both fail", "does not repeat", "noted")]
    broken = [each for each in compared if each.kind == "head fails"]
    # What works now and did not: a change where it is ordinary use, else no one's results differ.
    new = [each for each in compared if each.kind == "base fails"]
    mended = [each for each in new if each.scenario.is_plain]
    changed = [each for each in compared if each.kind == "changed" or each in mended]
    differing = tuple(
        dict.fromkeys(each.scenario.name for each in compared if each in broken or each in changed)
    )
    notes = _of_the_signature(base, head)
    notes += [each.text for each in seen if each.kind == "noted"]
    if beside := list(dict.fromkeys(each.scenario.name for each in new if each not in mended)):
        notes.append(f"now works with {'; '.join(beside[:4])}, where the base raises")
    if broken:
        first = broken[0]
        verdict = MathsVerdict.BROKEN
        difference = Difference(first.scenario.name, first.step, np.inf)
        text = f"raises with {first.scenario.when}: {first.text}"
        if len(broken) < len(compared) and not first.is_outside_of_steps:
            text += f"; {_where(broken, compared)}"
        if changed:
            text += f"; besides, it {_how(changed[0])}"
            if not changed[0].is_outside_of_steps:
                text += f", {_where(changed, compared)}"
    elif changed:
        first = changed[0]
        verdict = MathsVerdict.CHANGED
        difference = Difference(first.scenario.name, first.step, first.relative)
        text = _how(first)
        if not first.is_outside_of_steps:
            text += f"; {_where(changed, compared)}"
        if differing == ("defaults",):
            text += "; with the base's defaults the trajectories agree"
    else:
        difference = None
        rounded = [each for each in compared if each.kind == "rounding"]
        verdict = MathsVerdict.ROUNDING if rounded else MathsVerdict.IDENTICAL
        # In float32 a rounding is a larger one; what is told is of float64.
        wide = [each.relative for each in rounded if each.scenario.dtype not in NARROW]
        largest = max(wide, default=0.0)
        text = (
            f"by at most {largest:.1g} times the distance travelled, in {len(rounded)} of "
            f"{len(compared)} scenarios"
            if rounded
            else ""
        )
    lost = [each for each in seen if each.kind == "both fail" and each.scenario.settings]
    if len(lost) > len(seen) // 3:
        notes.append(f"{len(lost)} scenarios fail on both sides: {lost[0].text}")
    restless = [each for each in seen if each.kind == "does not repeat"]
    if restless:
        names = "; ".join(dict.fromkeys(each.scenario.name for each in restless[:4]))
        notes.append(f"does not repeat its own steps with {names}: it draws what no seed rules")
    if untried:
        notes.append(f"{untried} scenarios were not tried, for {PATIENCE} hang or crash")
    if verdict in (MathsVerdict.IDENTICAL, MathsVerdict.ROUNDING) and (
        untried or any(each.scenario.is_plain for each in restless)
    ):
        verdict = MathsVerdict.INCONCLUSIVE
    if not compared and not restless:
        verdict, text = (
            MathsVerdict.INCONCLUSIVE,
            f"both sides fail in every scenario: {seen[0].text}",
        )
    # One that raises at its defaults cannot be trained; one that raises elsewhere may.
    plain = any(each.scenario.is_plain for each in changed) and not any(
        each.scenario.is_plain for each in broken
    )
    shown = [each.scenario.settings for each in changed if _can_be_trained_with(each.scenario)]
    return Maths(
        verdict,
        "; ".join(filter(None, (text, *notes))),
        difference,
        len(compared),
        differing,
        at_defaults=plain,
        under=shown[0] if shown and not plain else {},
    )


def _can_be_trained_with(scenario: Scenario) -> bool:
    """Whether a run can show what the scenario does: by hyperparameters, and downwards."""
    # Decay moves the minimum, and the gap is that to the minimum without it.
    untold = {"maximize", "weight_decay"} & {*scenario.settings}
    ordinary = replace(Scenario(""), name=scenario.name, condition=scenario.condition,
                       settings=scenario.settings)  # fmt: skip
    return scenario == ordinary and bool(scenario.settings) and not untold


def _how(seen: Outcome) -> str:
    """Describe the difference in one scenario, as a verb."""
    if seen.is_a_check:
        return seen.text
    if seen.kind == "base fails":
        return f"works with {seen.scenario.when}, where the base raises: {seen.text}"
    if seen.text:
        return f"differs in {seen.text}"
    apart = f"by {seen.relative:.2g} times the distance travelled"
    if np.isinf(seen.relative):
        apart = "where one side rests or is not finite"
    return f"differs from step {seen.step} on, {apart}"


def _where(hit: Sequence[Outcome], compared: Sequence[Outcome]) -> str:
    """Under what they differ: everywhere, only with some hyperparameter, only in some way."""
    scenarios = [each for each in compared if not each.is_outside_of_steps]
    hit = [each for each in hit if not each.is_outside_of_steps]
    names = list(dict.fromkeys(each.scenario.name for each in hit))
    spared = list(dict.fromkeys(each.scenario.name for each in scenarios if each not in hit))
    if not spared:
        return "in every scenario"
    if len(hit) == 1:
        return f"only with {hit[0].scenario.when}"
    if hit[0].scenario.is_plain:
        if len(spared) <= 3:
            return f"in every scenario but {'; '.join(spared)}"
        return f"in {len(hit)} of {len(scenarios)} scenarios, the defaults among them"
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
