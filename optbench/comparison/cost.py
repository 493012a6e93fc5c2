"""The upper rungs: does a step take the same time, and does the optimizer hold as much?"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optbench.comparison.requests import Count, Failure, Memory, Prepare, Time, Weigh
from optbench.comparison.sides import both
from optbench.engine.model_shapes import ELEMENTS, MODELS, Shapes, equal
from optbench.scenarios.catalogue import Description
from optbench.scenarios.record import LEAK_BYTES
from optbench.verdicts.comparison import (
    AtSize,
    Cost,
    MathsVerdict,
    MemoryVerdict,
    OptimizerComparison,
    SpeedVerdict,
)
from optbench.verdicts.speed import judge_counts, judge_times

if TYPE_CHECKING:
    from optbench.comparison.sides import Sides

SMALL, LARGE = 10_000, 10_000_000
"""Parameters in ten matrices of one shape: where the overhead counts, where the memory's bandwidth
does."""

LISTS = ("resnet18", "gpt2", "many-tiny")
"""Names of models whose shapes are timed between the two."""

SCALES = (ELEMENTS, ELEMENTS // 10)
"""Parameters that those are scaled to; the less where a step over the more takes too long."""

BLOCK_S = 0.004
"""Seconds that a block of steps takes, about: the quickest of them counts. Short ones, and many:
what interferes comes in stretches, and a round that it hits is one of many."""

LONGEST_STEP_S = 0.5
"""Seconds of a step from which on a size is left out, and said to be."""

LONGEST_STEP_OF_LIST_S = 0.1
"""Seconds of a step from which on the models are scaled to less."""

ROUNDS = (16, 32, 64, 128)
"""Turns at each look."""

BUDGET_S = 4.0
"""Seconds after which the timing of one size ends with the round that it is in."""

ROUNDS_OF_LIST = (12, 24, 48)
"""Turns over the shapes of a model: twelve are the fewest whose interval of 99 % leaves out the
most extreme, and what stays open is counted."""

BUDGET_OF_LIST_S = 2.0
"""As `BUDGET_S`, for the shapes of a model."""


def compare_speed(
    sides: Sides, row: OptimizerComparison, base: Description, head: Description
) -> OptimizerComparison:
    """Return the row with its verdict on the time per step.

    The sides take turns, base, head, head, base: what drifts falls on both. What looks faster or
    slower is measured again in fresh processes, for where a process happens to lie in memory can
    make a step a third slower for as long as it lives; only what shows twice is said. What is not
    the same is counted.
    """
    if _same_code(base, head) and row.maths.verdict is MathsVerdict.IDENTICAL:
        return replace(
            row, speed=SpeedVerdict.SAME, cost=replace(row.cost, text="not timed: the same code")
        )
    if base.wants.graph or head.wants.graph:
        text = "not timed: it differentiates the gradient again"
        return replace(row, speed=SpeedVerdict.INCONCLUSIVE, cost=replace(row.cost, text=text))
    matrices = base.wants.matrices or head.wants.matrices
    sizes, left_out = _times(sides, row.name, matrices)
    speed, cost = _concluded(row.cost, sizes, left_out)
    row = replace(row, speed=speed, cost=cost)
    if not sizes or speed is SpeedVerdict.SAME:
        return row
    if base.wants.closure or head.wants.closure:
        return _with_words(row, "not counted: a step takes as many evaluations as it likes")
    return _counted(sides, row, _workload("resnet18", SCALES[-1], matrices))


@dataclass(frozen=True)
class _Workload:
    """Shapes to time a step over: of a model, or of equal matrices (no name)."""

    name: str
    parameters: int
    shapes: Shapes

    @property
    def longest_s(self) -> float:
        """Seconds of a step from which on it is not timed."""
        shrinks = self.name and self.parameters > SCALES[-1]
        return LONGEST_STEP_OF_LIST_S if shrinks else LONGEST_STEP_S

    def __str__(self) -> str:
        if not self.name:
            return f"{self.parameters:,} parameters"
        return f"{self.parameters:,} parameters in the {len(self.shapes):,} shapes of {self.name}"


def _workload(name: str, parameters: int, matrices: bool) -> _Workload:
    if not name:
        return _Workload(name, parameters, equal(parameters))
    model = MODELS[name].scaled(parameters)
    return _Workload(name, parameters, (model.matrices() if matrices else model).shapes)


@dataclass(frozen=True)
class _LeftOut:
    """Why a size has no times, and whether for taking too long."""

    text: str
    slow: bool = False


def _times(sides: Sides, target: str, matrices: bool) -> tuple[list[AtSize], str]:
    """Return the times at each size that can be timed, and why the others cannot."""
    sizes: list[AtSize] = []
    confirmed = None
    scale = SCALES[0]
    for name, parameters in (("", SMALL), *((model, 0) for model in LISTS), ("", LARGE)):
        work = _workload(name, parameters or scale, matrices)
        measured = _at_size(sides, target, work)
        if isinstance(measured, _LeftOut) and measured.slow and name and scale > SCALES[-1]:
            scale = SCALES[-1]
            work = _workload(name, scale, matrices)
            measured = _at_size(sides, target, work)
        if isinstance(measured, _LeftOut):
            return sizes, measured.text
        if measured.verdict in _FINDINGS and measured.verdict is not confirmed:
            measured = _again(sides, target, work, measured)
            confirmed = measured.verdict if measured.verdict in _FINDINGS else confirmed
        sizes.append(measured)
    return sizes, ""


_FINDINGS = frozenset((SpeedVerdict.FASTER, SpeedVerdict.SLOWER))


def _again(sides: Sides, target: str, work: _Workload, found: AtSize) -> AtSize:
    """Repeat a size in fresh processes, to drop a finding that does not repeat."""
    for side in sides:
        side.end()
    again = _at_size(sides, target, work)
    if isinstance(again, _LeftOut) or again.verdict is found.verdict:
        return found
    if again.verdict is SpeedVerdict.SAME:
        return again
    return replace(again, verdict=SpeedVerdict.INCONCLUSIVE)


def _concluded(cost: Cost, sizes: list[AtSize], left_out: str) -> tuple[SpeedVerdict, Cost]:
    if not sizes:
        return SpeedVerdict.INCONCLUSIVE, replace(cost, text=f"not timed: {left_out}")
    order = (SpeedVerdict.SLOWER, SpeedVerdict.FASTER, SpeedVerdict.INCONCLUSIVE, SpeedVerdict.SAME)
    verdict = next(each for each in order if any(size.verdict is each for size in sizes))
    deciding = [size for size in sizes if size.verdict is verdict]
    decides = max(deciding, key=lambda size: abs(size.ratio - 1))
    text = f"at {decides.parameters:,} parameters"
    if decides.shapes:
        text += f" in the shapes of {decides.shapes}"
    if left_out:
        text += f"; {left_out}"
    return verdict, replace(
        cost,
        step_ratio=decides.ratio,
        low=decides.low,
        high=decides.high,
        sizes=tuple(sizes),
        text=text,
    )


def _at_size(sides: Sides, target: str, work: _Workload) -> AtSize | _LeftOut:
    """Return the times at one size, or why there are none."""
    first = []
    # One after the other: two large ones at once would crowd each other out.
    for side in sides:
        said = side.ask(Prepare(target, work.shapes))
        if isinstance(said, Failure):
            return _LeftOut(f"{work}: {said.text}")
        first.append(said)
    typical = []
    for side in sides:
        said = side.ask(Time(3 if max(first) < LONGEST_STEP_S else 1))
        if isinstance(said, Failure):
            return _LeftOut(f"{work}: {said.text}")
        typical.append(said)
    if max(typical) > work.longest_s:
        return _LeftOut(f"{work} left out: a step takes {max(typical):.1f} s", slow=True)
    steps = max(1, min(20, round(BLOCK_S / max(min(typical), 1e-6))))
    base: list[float] = []
    head: list[float] = []
    begun = time.monotonic()
    found: AtSize | None = None
    looks, budget_s = (ROUNDS_OF_LIST, BUDGET_OF_LIST_S) if work.name else (ROUNDS, BUDGET_S)
    for rounds in looks:
        while len(base) < rounds:
            times = []
            for side in (sides.base, sides.head, sides.head, sides.base):
                said = side.ask(Time(steps))
                if isinstance(said, Failure):
                    return _LeftOut(f"{work}: {said.text}")
                times.append(said)
            base.append((times[0] + times[3]) / 2)
            head.append((times[1] + times[2]) / 2)
            if len(base) >= looks[0] and time.monotonic() - begun > budget_s:
                break
        found = judge_times(work.parameters, base, head)
        if found.verdict is not SpeedVerdict.INCONCLUSIVE or time.monotonic() - begun > budget_s:
            break
    assert found is not None
    return replace(found, shapes=work.name)


def _counted(sides: Sides, row: OptimizerComparison, work: _Workload) -> OptimizerComparison:
    """Return the row with the work of a step on both sides, which decides where the time does not.

    Not between two environments: another torch makes other operations of the same call.
    """
    answers = both(sides.base, sides.head, Count(row.name, work.shapes))
    for answer in answers:
        if isinstance(answer, Failure):
            return _with_words(row, f"not counted: {answer.text}")
    verdict, counted = judge_counts(*answers, row.cost.sizes)
    if verdict is SpeedVerdict.SAME and row.maths.verdict is not MathsVerdict.IDENTICAL:
        verdict = SpeedVerdict.INCONCLUSIVE  # other values may take other times
    one_torch = not any(side.tree.python for side in sides)
    open_ = row.speed is SpeedVerdict.INCONCLUSIVE
    if open_ and one_torch and verdict is not SpeedVerdict.INCONCLUSIVE:
        counted = replace(counted, decides=True)
        row = replace(row, speed=verdict)
    return replace(row, cost=replace(row.cost, counted=counted))


def _with_words(row: OptimizerComparison, words: str) -> OptimizerComparison:
    return replace(row, cost=replace(row.cost, text=f"{row.cost.text}; {words}"))


def _same_code(base: Description, head: Description) -> bool:
    """Whether both sides run the same lines, as far as it is known."""
    return bool(base.code) and base.code == head.code


def compare_memory(
    sides: Sides, row: OptimizerComparison, of_base: Description, of_head: Description
) -> OptimizerComparison:
    """Return the row with its verdict on state, temporaries, growth and work after loading."""
    compiled = not _same_code(of_base, of_head)
    answers = both(sides.base, sides.head, Weigh(row.name, compiled))
    for answer in answers:
        if isinstance(answer, Failure):
            text = "; ".join(filter(None, (row.cost.text, f"memory not measured: {answer.text}")))
            return replace(row, cost=replace(row.cost, text=text))
    base, head = answers
    assert isinstance(base, Memory)
    assert isinstance(head, Memory)
    verdict, words = _of_memory(base, head)
    cost = replace(
        row.cost,
        state_bytes_per_parameter=(base.state_bytes, head.state_bytes),
        temporary_bytes_per_parameter=(base.temporary_bytes, head.temporary_bytes),
        growth_bytes_per_step=(base.growth_bytes, head.growth_bytes),
        operations_after_loading=(_after_loading(base), _after_loading(head)),
        text="; ".join(filter(None, (row.cost.text, words))),
        compiled=_under_compile(base, head),
    )
    speed = row.speed
    if _after_loading(head) > 1.25 >= _after_loading(base):
        speed = SpeedVerdict.SLOWER
        after = (
            f"{head.operations_after_loading} operations after loading, {head.operations} before"
        )
        cost = replace(cost, text=f"{cost.text}; a step takes {after}")
    return replace(row, memory=verdict, cost=cost, speed=speed)


def _under_compile(base: Memory, head: Memory) -> str:
    """Say what torch.compile makes of a step, where it is not what it makes of the base's."""
    if base.graphs is None or head.graphs is None:
        return ""
    said = []
    if head.graphs != base.graphs:
        said.append(f"{_graphs(head)}, and {_graphs(base)} in the base")
    if head.recompiles != base.recompiles:
        side = "the head" if head.recompiles else "the base alone"
        said.append(f"{side} is compiled again after the third step")
    if not said:
        return ""
    breaks = [each for each in head.breaks if each not in base.breaks]
    return "; ".join([f"a step {' and '.join(said)}", *breaks])


def _graphs(memory: Memory) -> str:
    if not memory.graphs:
        return "runs uncompiled"
    return f"is {memory.graphs} graph{'s' * (memory.graphs > 1)}"


def _after_loading(memory: Memory) -> float:
    """Operations of a step after loading, over those before; one where it cannot be said."""
    if not memory.operations or not memory.operations_after_loading:
        return 1.0
    return memory.operations_after_loading / memory.operations


def _of_memory(base: Memory, head: Memory) -> tuple[MemoryVerdict, str]:
    if head.growth_bytes > base.growth_bytes + LEAK_BYTES and base.growth_bytes < LEAK_BYTES:
        return MemoryVerdict.LEAK, f"grows by {head.growth_bytes:,.0f} bytes a step"
    for name, old, new, slack in (
        ("state", base.state_bytes, head.state_bytes, 0.02),
        ("temporaries", base.temporary_bytes, head.temporary_bytes, 0.5),
    ):
        words = f"{name} of {new:.2f} bytes a parameter, {old:.2f} in the base"
        if new > 1.05 * old + slack:
            return MemoryVerdict.MORE, words
        if old > 1.05 * new + slack:
            return MemoryVerdict.LESS, words
    return MemoryVerdict.SAME, ""
