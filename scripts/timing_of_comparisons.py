"""How often a comparison's timing errs: ``python scripts/timing_of_comparisons.py``.

A/A: the same optimizer on both sides, so that whatever is called slower or faster is a false alarm.
A/B: the head's step takes 1.3 times the base's, by construction, so that whatever is not called
slower is a miss. Processes are begun anew every few comparisons, as they are for a user.

Prints a line a comparison, then the counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from optbench.comparison.compare import Sides
from optbench.comparison.cost import compare_speed
from optbench.comparison.requests import Meet
from optbench.comparison.sides import SideProcess
from optbench.scenarios.catalogue import Description
from optbench.sources import Tree
from optbench.verdicts.comparison import Maths, MathsVerdict, OptimizerComparison

MODULE = """
import time

import torch

from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop


def dearer(cls, factor):
    class Dearer(cls):
        def step(self, closure=None):
            begun = time.perf_counter()
            loss = super().step(closure)
            end = begun + factor * (time.perf_counter() - begun)
            while time.perf_counter() < end:
                pass
            return loss

    return Dearer


class Adam(Adam): pass
class SGD(SGD): pass
class RMSprop(RMSprop): pass
class NAdam(NAdam): pass
class AdamW(AdamW): pass
"""

NAMES = ("Adam", "SGD", "RMSprop", "NAdam", "AdamW")


def tree(folder: Path, factor: float) -> Tree:
    """A module of five optimizers, each a factor dearer than torch's."""
    folder.mkdir()
    wrapped = "".join(f"{name} = dearer({name}, {factor})\n" for name in NAMES)
    (folder / "timed.py").write_text(MODULE + (wrapped if factor != 1 else ""), encoding="utf-8")
    return Tree(folder.name, folder, ("timed",))


def measure(folder: Path, count: int, factor: float, each: int) -> Counter[str]:
    """So many comparisons, in new processes after ``each`` of them."""
    trees = tree(folder / f"base-{factor}", 1.0), tree(folder / f"head-{factor}", factor)
    counts: Counter[str] = Counter()
    for done in range(0, count, each):
        sides = Sides(*(SideProcess(one, folder) for one in trees))
        try:
            for number in range(done, min(count, done + each)):
                target = f"timed:{NAMES[number % len(NAMES)]}"
                met = [side.ask(Meet(target)) for side in sides]
                assert all(isinstance(one, Description) for one in met), met
                begun = time.monotonic()
                row = OptimizerComparison(target, Maths(MathsVerdict.IDENTICAL))
                row = compare_speed(sides, row, *(replace(one, code="") for one in met))
                counts[str(row.speed)] += 1
                sizes = ", ".join(
                    f"{s.shapes or format(s.parameters, '.0e')}: {s.ratio:.3f} "
                    f"[{s.low:.3f}, {s.high:.3f}] {s.verdict}"
                    for s in row.cost.sizes
                )
                by = " by counts" if row.cost.counted and row.cost.counted.decides else ""
                seconds = f"{time.monotonic() - begun:.1f} s"
                print(f"{factor} {target} {row.speed}{by} in {seconds}; {sizes}", flush=True)
        finally:
            for side in sides:
                side.end()
    return counts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--same", type=int, default=200, help="comparisons A/A")
    parser.add_argument("--dearer", type=int, default=20, help="comparisons A/B")
    parser.add_argument("--factor", type=float, default=1.3)
    parser.add_argument("--each", type=int, default=10, help="comparisons a pair of processes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dearer = measure(Path(folder), given.dearer, given.factor, given.each)
        same = measure(Path(folder), given.same, 1.0, given.each)
    for name, counts in ((f"{given.factor} times dearer", dearer), ("the same", same)):
        print(f"{name}: {', '.join(f'{n} {word}' for word, n in counts.most_common())}")


if __name__ == "__main__":
    main()
