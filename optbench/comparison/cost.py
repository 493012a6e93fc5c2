"""The upper rungs: does a step take the same time, and does the optimizer hold as much?"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from optbench.comparison.requests import Failure, Memory, Prepare, Time, Weigh
from optbench.comparison.sides import both
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
from optbench.verdicts.speed import judge_times

if TYPE_CHECKING:
    from optbench.comparison.sides import Sides

SIZES = (10_000, 1_000_000, 10_000_000)
"""Parameters: where the overhead counts, where the caches do, where the memory's bandwidth does."""

BLOCK_S = 0.004
"""Seconds that a block of steps takes, about: the quickest of them counts. Short ones, and many:
what interferes comes in stretches, and a round that it hits is one of many."""

LONGEST_STEP_S = 0.5
"""A size at which a step takes longer is left out, and said to be."""

ROUNDS = (16, 32, 64, 128)
"""Turns at each look."""

BUDGET_S = 4.0
"""Seconds after which the timing of one size ends with the round that it is in."""


def compare_speed(
    sides: Sides, row: OptimizerComparison, base: Description, head: Description
) -> OptimizerComparison:
    """Return the row with its verdict on the time per step.

    The sides take turns, base, head, head, base: what drifts falls on both. What looks faster or
    slower is measured again in fresh processes, for where a process happens to lie in memory can
    make a step a third slower for as long as it lives; only what shows twice is said.
    """
    same_code = bool(base.code) and base.code == head.code
    if same_code and row.maths.verdict is MathsVerdict.IDENTICAL:
        return replace(
            row, speed=SpeedVerdict.SAME, cost=replace(row.cost, text="not timed: the same code")
        )
    if base.wants.graph or head.wants.graph:
        text = "not timed: it differentiates the gradient again"
        return replace(row, speed=SpeedVerdict.INCONCLUSIVE, cost=replace(row.cost, text=text))
    sizes: list[AtSize] = []
    left_out = ""
    confirmed = None
    for parameters in SIZES:
        measured = _at_size(sides, row.name, parameters)
        if isinstance(measured, str):
            left_out = measured
            break
        if measured.verdict in _FINDINGS and measured.verdict is not confirmed:
            measured = _again(sides, row.name, measured)
            confirmed = measured.verdict if measured.verdict in _FINDINGS else confirmed
        sizes.append(measured)
    speed, cost = _concluded(row.cost, sizes, left_out)
    return replace(row, speed=speed, cost=cost)


_FINDINGS = frozenset((SpeedVerdict.FASTER, SpeedVerdict.SLOWER))


def _again(sides: Sides, target: str, found: AtSize) -> AtSize:
    """Repeat a size in fresh processes, to drop a finding that does not repeat."""
    for side in sides:
        side.end()
    again = _at_size(sides, target, found.parameters)
    if isinstance(again, str) or again.verdict is found.verdict:
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


def _at_size(sides: Sides, target: str, parameters: int) -> AtSize | str:
    """Return the times at one size, or why there are none."""
    first = []
    # One after the other: two large ones at once would crowd each other out.
    for side in sides:
        said = side.ask(Prepare(target, parameters))
        if isinstance(said, Failure):
            return f"{parameters:,} parameters: {said.text}"
        first.append(said)
    typical = []
    for side in sides:
        said = side.ask(Time(3 if max(first) < LONGEST_STEP_S else 1))
        if isinstance(said, Failure):
            return f"{parameters:,} parameters: {said.text}"
        typical.append(said)
    if max(typical) > LONGEST_STEP_S:
        return f"{parameters:,} parameters left out: a step takes {max(typical):.1f} s"
    steps = max(1, min(20, round(BLOCK_S / max(min(typical), 1e-6))))
    base: list[float] = []
    head: list[float] = []
    begun = time.monotonic()
    found: AtSize | None = None
    for rounds in ROUNDS:
        while len(base) < rounds:
            times = []
            for side in (sides.base, sides.head, sides.head, sides.base):
                said = side.ask(Time(steps))
                if isinstance(said, Failure):
                    return f"{parameters:,} parameters: {said.text}"
                times.append(said)
            base.append((times[0] + times[3]) / 2)
            head.append((times[1] + times[2]) / 2)
            if len(base) >= ROUNDS[0] and time.monotonic() - begun > BUDGET_S:
                break
        found = judge_times(parameters, base, head)
        if found.verdict is not SpeedVerdict.INCONCLUSIVE or time.monotonic() - begun > BUDGET_S:
            break
    assert found is not None
    return found


def compare_memory(sides: Sides, row: OptimizerComparison) -> OptimizerComparison:
    """Return the row with its verdict on state, temporaries, growth and work after loading."""
    answers = both(sides.base, sides.head, Weigh(row.name))
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
        said.append(f"{_graphs(head)}, {_graphs(base)} in the base")
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
